"""pydicom's tables of the standard (PS3.6), read without importing pydicom.

`import pydicom` brings its decoders and, where they are installed, NumPy and its friends: 0.3 s and 25 MB for each of
the server's processes, which use nothing of it but these tables. Their modules are plain data and import nothing.
"""

from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType


def load_table(name: str) -> ModuleType:
    """Return the module `pydicom.<name>`; an ImportError says that pydicom is not what it was."""
    package = find_spec("pydicom")  # finds the top-level package without running it
    places = [] if package is None else package.submodule_search_locations or []
    for place in places:
        spec = spec_from_file_location(f"pydicom.{name}", Path(place) / f"{name}.py")
        if spec is not None and spec.loader is not None:
            module = module_from_spec(spec)
            spec.loader.exec_module(module)
            return module
    raise ImportError(f"pydicom has no {name}")
