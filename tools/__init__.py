"""What people run: the command line, serving and supervision (the composition root), and the tools beside it.

- `cli` starts everything; `configuration`, `options`, `composition` turn Orthanc's files into settings of each part
- `serve` supervises, `process` is what a child runs, `core` and `gateway` are what lives in it, `single` is all in one
- `log`, `replay`, `import_files`, `bench`: the other commands
"""
