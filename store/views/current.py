"""Reading the file of an instance while another file takes its place: when it is healed, compressed or overwritten."""

from collections.abc import Callable
from typing import TypeVar

from store.records import Instance
from store.views.views import Views

T = TypeVar("T")


def read_current(views: Views, instance: Instance, read: Callable[[Instance], T]) -> T:
    """Return the result of `read` on an instance's file; repeat it as often as another file has taken the place of the one read.

    Raises FileNotFoundError if the instance has been deleted, and errors of `read`.
    """
    while True:
        try:
            return read(instance)
        except FileNotFoundError:
            with views.snapshot() as snapshot:
                current = snapshot.get_instance(instance.id)
            if current is None or current.blob == instance.blob:
                raise
        instance = current
