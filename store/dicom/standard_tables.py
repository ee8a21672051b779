"""What pydicom and pynetdicom know of the standard (PS3.6, PS3.4), read without importing them.

Importing costs each of the server's processes 0.2 s and 31 MB (pydicom) or 0.3 s and 39 MB (pynetdicom), of which only these tables
are used: to read one takes 1 to 10 ms and 3 MB at most. A new release of either brings its new tags, classes and statuses.
"""

import ast
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any


def load_table(name: str) -> ModuleType:
    """Return the module `pydicom.<name>`, which is plain data; an ImportError says that pydicom is not what it was."""
    place = _place("pydicom", name)
    spec = spec_from_file_location(f"pydicom.{name}", place)
    if spec is None or spec.loader is None:
        raise ImportError(f"{place} cannot be loaded")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def read_constants(name: str) -> Mapping[str, Any]:
    """Return the constants of the module `pynetdicom.<name>` that are plain data, by their names."""
    constants = {}
    for node in _parse(name).body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=target)], value=value)
                | ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value)
            ):
                try:
                    constants[target] = ast.literal_eval(value)
                except ValueError:  # it is computed
                    continue
    return constants


@cache
def read_statuses() -> Mapping[str, Mapping[int, tuple[str, str]]]:
    """Return the tables of `pynetdicom.status`, which computes ranges: from a status to its category and its meaning.

    Nothing where another release has them otherwise: they are words for the log.
    """
    tree = _parse("status")
    tree.body = [
        node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom | ast.ClassDef | ast.FunctionDef)
    ]
    names: dict[str, Any] = dict(read_constants("_globals"))  # all that those tables import
    try:
        exec(compile(tree, "pynetdicom.status", "exec"), names)  # noqa: S102 # a library's own code, less what it imports
    except Exception:  # noqa: BLE001 # another release may need what was left out; a log line must not fail for it
        return {}
    return {name: table for name, table in names.items() if name.endswith("STATUS") and isinstance(table, dict)}


def _parse(name: str) -> ast.Module:
    """Return what a module of pynetdicom is made of: nothing if another release does not have it."""
    try:
        return ast.parse(_place("pynetdicom", name).read_bytes())
    except ImportError:
        return ast.Module([], [])


def _place(package: str, name: str) -> Path:
    spec = find_spec(package)  # finds a top-level package without running it
    places = [] if spec is None else spec.submodule_search_locations or []
    for place in places:
        if (file := Path(place, f"{name}.py")).is_file():
            return file
    raise ImportError(f"{package} has no {name}")
