"""`POST /instances/{id}/modify/preview` and `…/anonymize/preview`: the tags before and after a change, and nothing is done. Not Orthanc's.

A body is that of the request that would change, with `Level` as for `/tools/bulk-modify`. What is drawn anew each time, such as identifiers
and the patient's name, is found by changing twice: where the two differ, `IsDrawn` says so.

Nothing is shown of a long value, so of a large file only the beginnings of such values are changed: a document of 1 GB takes no memory.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from struct import pack
from typing import Any, Final

import falcon

from api.rest import dicom_files, fields, runtime
from api.rest.deps import Deps, Routes
from api.rest.modification import named, read_body, read_flags, read_unnamed
from api.rest.modification_jobs import parse_level
from api.rest.render_resources import one_of
from api.rest.resources import find_instance
from api.rest.serving.replies import send_json
from events.errors import InvalidRequest
from events.identifiers import Level
from store.dicom.change.drawn import Drawn, new_secret
from store.dicom.change.edit import Editor
from store.dicom.change.items import is_sequence
from store.dicom.change.modification import Modification
from store.dicom.change.request import needs_name, read_modify
from store.dicom.elements import Element, read_elements
from store.dicom.limits import large_datasets
from store.dicom.part10 import Part10, open_part10
from store.dicom.rendering import Json, render_tags
from store.dicom.tags import SEQUENCE_END
from store.instance_heads import read_head

Read = Callable[[Deps, Mapping[str, Any]], Modification]
_NAMES = ("Anonymized1", "Anonymized2")  # drawn ones count on, and each is an event

MOST_BYTES: Final = 32 << 20  # of a file that is changed, each time
KEPT_BYTES: Final = 1 << 16  # of a value of a larger file; even, and far more than is shown


class Preview:
    def __init__(self, deps: Deps, read: Read) -> None:
        self._deps = deps
        self._read = read

    def on_post(self, req: falcon.Request, resp: falcon.Response, identifier: str) -> None:
        deps = self._deps
        with deps.views.snapshot() as s:
            instance = find_instance(s, identifier)
        change = self._read(deps, read_body(req))
        encoding = runtime.default_encoding(deps)
        # Not `opened`, which closes a map while an error still holds views of it: this one ends with the last of them.
        data = dicom_files.of_current(deps, instance, lambda current: read_head(deps.blobs, current))
        with large_datasets.scope():
            before = render_tags(data, default_encoding=encoding)
            file = _shorten(open_part10(memoryview(data)))
            after, other = (_after(file, change, name, encoding) for name in _NAMES)
        _mark_drawn(after, other)
        send_json(req, resp, {"Before": before, "After": after})


def _shorten(file: Part10) -> Part10:
    """Return a file of at most `MOST_BYTES` with the same tags; of long values, and of compressed pixels, the beginning. Raises InvalidRequest."""
    if len(file.data) <= MOST_BYTES:
        return file
    parts: list[bytes | memoryview] = []
    data, begin = memoryview(file.data), 0
    for element in read_elements(data, file.start, file.syntax):
        if shortened := _shorten_element(data, element, little=file.syntax.little):
            parts += (data[begin : element.start], *shortened)
            begin = element.end
    parts.append(data[begin:])
    size_bytes = sum(map(len, parts))
    if size_bytes > MOST_BYTES:
        raise InvalidRequest(
            f"There is no preview for this instance: its sequences have {size_bytes >> 20} MB, and {MOST_BYTES >> 20} MB at most "
            "are changed for one; the change itself can be done"
        )
    return replace(file, data=b"".join(parts))


def _shorten_element(data: memoryview, element: Element, *, little: bool) -> tuple[bytes | memoryview, ...]:
    """Return the parts of a shorter element; none if it is short, or a sequence."""
    order = "<" if little else ">"
    if element.fragments:  # the first is the offset table
        offset, length = element.fragments[0]
        end = pack(f"{order}HHI", SEQUENCE_END >> 16, SEQUENCE_END & 0xFFFF, 0)
        return data[element.start : offset + length], end
    if element.length <= KEPT_BYTES or is_sequence(data, element):
        return ()
    head, value = data[element.start : element.value - 4], data[element.value : element.value + KEPT_BYTES]
    return head, pack(f"{order}I", KEPT_BYTES), value  # so long a value has its length in 4 bytes


def _after(file: Part10, change: Modification, name: str, encoding: str) -> Json:
    """Return the tags of a changed file. Raises as `Editor.edit`."""
    editor = Editor(named(change, name) if needs_name(change) else change, Drawn(new_secret()), encoding)
    changed = b"".join(editor.edit(file).parts)
    return render_tags(changed, default_encoding=encoding)


def _mark_drawn(dataset: Json, other: Json) -> None:
    for number, tag in dataset.items():
        value, same = tag["Value"], (other.get(number) or tag)["Value"]
        if isinstance(value, list) and isinstance(same, list):
            for item, other_item in zip(value, same, strict=False):
                _mark_drawn(item, other_item)
        elif value != same:
            tag["IsDrawn"] = True


def _modification(deps: Deps, body: Mapping[str, Any]) -> Modification:
    return read_modify(body, parse_level(fields.text(body, "Level", default="Instance")), read_flags(body, deps))


def routes(deps: Deps) -> Routes:
    one = one_of(Level.INSTANCE)
    return {
        f"{one}/modify/preview": Preview(deps, _modification),
        f"{one}/anonymize/preview": Preview(deps, read_unnamed),
    }
