"""Programs that people run: the command line, serving and supervision (the composition root), and the tools beside it.

- `cli` starts everything; `configuration` and `options` read Orthanc's files
- `server`: the supervisor and its processes, put together; `server.serve` supervises, `server.children` starts what `server.process` runs
- `log`, `replay`, `fsck`, `import_files`, `jobs_cli`, `bench`: the other commands

Importing this package makes Python find our packages beside this file, before it imports the first of them: see `server.module_path`.
"""

from tools.server.module_path import pin_our_packages

pin_our_packages()
