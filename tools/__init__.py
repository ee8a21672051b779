"""What people run: the command line, serving and supervision (the composition root), and the tools beside it.

- `cli` starts everything; `configuration`, `options`, `composition` turn Orthanc's files into settings of each part
- `serve` supervises, `children` starts what `process` runs, `core` and `gateway` are what lives in it, `single` is all in one
- `log`, `replay`, `import_files`, `bench`: the other commands

Importing it has our packages come from beside this file, before the first of them is imported: see `module_path`.
"""

from tools.module_path import pin_our_packages

pin_our_packages()
