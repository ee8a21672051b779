"""`POST /instances/{id}/modify/preview` and `…/anonymize/preview`: the tags before and after a change, and nothing is done. Not Orthanc's.

A body is that of the request that would change, with `Level` as for `/tools/bulk-modify`. What is drawn anew each time, such as identifiers
and the patient's name, is found by changing twice: where the two differ, `IsDrawn` says so.
"""

from collections.abc import Callable, Mapping
from typing import Any

import falcon

from api.rest import dicom_files, fields, runtime
from api.rest.deps import Deps, Routes
from api.rest.modification import named, read_body, read_flags, read_unnamed
from api.rest.modification_jobs import parse_level
from api.rest.render_resources import one_of
from api.rest.resources import find_instance
from api.rest.serving.replies import send_json
from events.identifiers import Level
from store.dicom.change.drawn import Drawn, new_secret
from store.dicom.change.edit import Editor
from store.dicom.change.modification import Modification
from store.dicom.change.request import needs_name, read_modify
from store.dicom.elements import Buffer
from store.dicom.limits import large_datasets
from store.dicom.part10 import open_part10
from store.dicom.rendering import Json, render_tags

Read = Callable[[Deps, Mapping[str, Any]], Modification]
_NAMES = ("Anonymized1", "Anonymized2")  # drawn ones count on, and each is an event


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
        with large_datasets.scope(), dicom_files.opened(deps, instance) as data:
            before = render_tags(data, default_encoding=encoding)
            after, other = (_after(data, change, name, encoding) for name in _NAMES)
        _mark_drawn(after, other)
        send_json(req, resp, {"Before": before, "After": after})


def _after(data: Buffer, change: Modification, name: str, encoding: str) -> Json:
    """Return the tags of a changed file. Raises as `Editor.edit`."""
    editor = Editor(named(change, name) if needs_name(change) else change, Drawn(new_secret()), encoding)
    changed = b"".join(editor.edit(open_part10(memoryview(data))).parts)
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
