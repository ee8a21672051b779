"""The operations: what jobs of each type do, and what their plans hold (`…_plan`). Their table: `actors.messages.job_types`."""

from importlib import import_module

from actors.messages.job_types import JOB_TYPES
from actors.services.jobs.operation import Factory


def find_operation(job_type: str) -> Factory | None:
    """Return the class of an operation, imported now: code that only makes plans needs none of them."""
    row = JOB_TYPES.get(job_type)
    if row is None:
        return None
    module, name = row.operation.split(".")
    factory: Factory = getattr(import_module(f"{__name__}.{module}"), name)
    return factory
