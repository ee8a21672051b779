"""Reading the DICOM files behind instances: rendered tags, headers, raw values."""

import mmap
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from api.errors import UnknownRoute, UnknownTag
from api.rest import runtime
from api.rest.arguments import TagForm
from api.rest.deps import Deps
from store.dicom import content
from store.dicom.dicom_json import render_dicom_json
from store.dicom.rendering import render_header, render_tags
from store.instance_heads import read_head
from store.records import Instance
from store.views.current import read_current

T = TypeVar("T")


def of_current(deps: Deps, instance: Instance, read: Callable[[Instance], T]) -> T:
    """Return the result of `read` on an instance's file; repeat the read if another file has taken its place during it.

    Raises UnknownRoute if the instance has been deleted, or has no file (`StoreDicom`), and errors of `read`.
    """
    try:
        return read_current(deps.views, instance, read)
    except FileNotFoundError:
        raise UnknownRoute from None


@contextmanager
def opened(deps: Deps, instance: Instance, *, whole: bool = False) -> Iterator[bytes | mmap.mmap]:
    """Give the bytes of an instance's file, of which only some are looked at: those up to Pixel Data, or any of the `whole`.

    Raises as `of_current`, and DamagedFile.
    """
    data = of_current(
        deps,
        instance,
        lambda current: deps.blobs.read_instance(current, whole=False) if whole else read_head(deps.blobs, current),
    )
    if isinstance(data, bytes):
        yield data
        return
    with data:
        yield data


def read_tags(
    deps: Deps,
    instance: Instance,
    form: TagForm,
    *,
    ignore_length: Collection[int] = (),
    encoding: str | None = None,
    whole: bool = False,
) -> dict[str, Any]:
    """Return the tags of an instance's dataset, up to Pixel Data unless `whole`."""
    with opened(deps, instance, whole=whole) as data:
        return render_tags(
            data,
            form,
            default_encoding=encoding or runtime.default_encoding(deps),
            ignore_length=frozenset(ignore_length),
            whole=whole,
        )


def read_dicom_json(deps: Deps, instance: Instance) -> dict[str, Any]:
    """Return the dataset of an instance as DICOM JSON."""
    with opened(deps, instance, whole=True) as data:
        return render_dicom_json(data, default_encoding=runtime.default_encoding(deps))


def read_header(deps: Deps, instance: Instance, form: TagForm) -> dict[str, Any]:
    """Return the file meta information of an instance."""
    with opened(deps, instance) as data:
        return render_header(data, form)


def read_content(deps: Deps, instance: Instance, steps: Sequence[str]) -> list[str] | bytes:
    """Return what lies at a path: names of elements or items, or an element's raw bytes. Raises NotFound, UnknownTag."""
    with opened(deps, instance, whole=True) as data:
        try:
            found = content.content(data, steps)
        except content.UnknownTag as exc:
            raise UnknownTag(str(exc)) from exc
    return found if isinstance(found, bytes) else found.names
