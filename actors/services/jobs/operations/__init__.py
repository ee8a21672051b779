"""The operations: what jobs of each type do, and what their plans hold (`…_plan`).

An operation is imported when the first job of its type comes: whoever only makes plans needs none of them.
"""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Final

from actors.services.jobs.operation import Factory, Operation, Task, Workbench

__all__ = ["OPERATIONS"]


def _imported(module: str, name: str) -> Factory:
    def make(task: Task, bench: Workbench) -> Operation:
        operation: Operation = getattr(import_module(f"{__name__}.{module}"), name)(task, bench)
        return operation

    return make


OPERATIONS: Final[Mapping[str, Factory]] = MappingProxyType(
    {
        "DicomModalityStore": _imported("modality_store", "ModalityStore"),
        "DicomMoveScu": _imported("retrieve", "MoveScu"),
        "DicomGetScu": _imported("retrieve", "GetScu"),
        "SequenceOfOperations": _imported("sequence", "SequenceOfOperations"),
    }
)
