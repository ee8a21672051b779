"""Reading the DICOM files behind instances: rendered tags, headers, raw values."""

import mmap
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from api.errors import UnknownTag
from api.rest import runtime
from api.rest.arguments import TagForm
from api.rest.deps import Deps
from events.errors import NotFound
from store.dicom import content
from store.dicom.rendering import render_header, render_tags
from store.records import Instance

SMALL_FILE_BYTES = 1 << 20  # up to here one read is cheaper than a memory map


@contextmanager
def opened(deps: Deps, instance: Instance) -> Iterator[bytes | mmap.mmap]:
    """Give the bytes of an instance's file. Raises NotFound if it was deleted meanwhile."""
    try:
        file = deps.blobs.open(instance.blob)
    except FileNotFoundError as exc:
        raise NotFound from exc
    with file:
        if instance.size_bytes <= SMALL_FILE_BYTES:
            yield file.read()
            return
        with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
            yield mapped


def read_tags(
    deps: Deps,
    instance: Instance,
    form: TagForm,
    *,
    ignore_length: Collection[int] = (),
    encoding: str | None = None,
) -> dict[str, Any]:
    """Return the tags of an instance's dataset up to Pixel Data."""
    with opened(deps, instance) as data:
        return render_tags(
            data,
            form,
            default_encoding=encoding or runtime.default_encoding(deps),
            ignore_length=frozenset(ignore_length),
        )


def read_header(deps: Deps, instance: Instance, form: TagForm) -> dict[str, Any]:
    """Return the file meta information of an instance."""
    with opened(deps, instance) as data:
        return render_header(data, form)


def read_content(deps: Deps, instance: Instance, steps: Sequence[str]) -> list[str] | bytes:
    """Return what lies at a path: names of elements or items, or an element's raw bytes. Raises NotFound, UnknownTag."""
    with opened(deps, instance) as data:
        try:
            found = content.content(data, steps)
        except content.UnknownTag as exc:
            raise UnknownTag(str(exc)) from exc
    return found if isinstance(found, bytes) else found.names
