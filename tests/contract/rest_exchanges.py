"""Real exchanges with an Orthanc as golden rows: `rest_exchanges.json` was recorded from Orthanc 1.12.7.

`python -m tests.contract.rest_exchanges http://localhost:8042` records them anew from an empty Orthanc. Values that
differ from run to run (dates, the names of files, sequence numbers) are masked on both sides.
"""

import json
import re
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests import data_factory

GOLDEN = Path(__file__).with_name("rest_exchanges.json")

NO_RESOURCE = "00000000-11111111-22222222-33333333-44444444"

_HEADERS = ("Content-Type", "Content-Disposition", "Allow", "Location", "WWW-Authenticate")
_MASKS = (
    (re.compile(rb'"(Date|LastUpdate|ReceptionDate|FileUuid|Uuid)" : "[^"]*"'), rb'"\1" : "*"'),
    (re.compile(rb'"(Seq|First|Last)" : [0-9]+'), rb'"\1" : 0'),
)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked; `upload` names a sample of `samples()` to send as the body."""

    path: str
    method: str = "GET"
    body: str = ""
    upload: str = ""
    headers: dict[str, str] = field(default_factory=dict)


def samples() -> dict[str, bytes]:
    """Two series of one study, and a study of another patient."""
    return {
        "first": data_factory.encode(data_factory.dataset(1, 1, 1, 1, PatientName="Grün^Jürgen", SpecificCharacterSet="ISO_IR 192")),
        "second": data_factory.encode(data_factory.dataset(1, 1, 1, 2)),
        "other-series": data_factory.encode(data_factory.dataset(1, 1, 2, 3, Modality="CT")),
        "other-patient": data_factory.encode(data_factory.add_pixels(data_factory.dataset(2, 1, 1, 1))),
    }  # fmt: skip


def requests(ids: dict[str, str]) -> list[Request]:
    """Return every exchange in order; `ids` are the identifiers of the first sample by level."""
    patient, study, series, instance = (ids[level] for level in ("patient", "study", "series", "instance"))
    return [
        *(Request("/instances", "POST", upload=name) for name in samples()),
        Request("/instances", "POST", upload="first"),
        Request("/instances", "POST", body="garbage"),
        Request("/instances", "POST"),
        *(Request(f"/{level}{query}") for level in ("patients", "studies", "series", "instances") for query in ("", "?expand", "?since=1&limit=1", "?since=1")),
        Request("/studies?expand&short"),
        Request("/studies?expand&full"),
        Request("/series?since=0&limit=1&response-content=MainDicomTags;Parent"),
        Request("/studies?expand&requested-tags=ModalitiesInStudy;PatientName;InstanceNumber;SliceThickness"),
        Request("/studies?expand&requested-tags=Foo"),
        Request("/studies?expand=xyz"),
        Request(f"/patients/{patient}/studies"),
        Request(f"/patients/{patient}/instances?expand=false"),
        Request(f"/studies/{study}/series?expand=false"),
        Request(f"/instances/{instance}/patient"),
        Request(f"/instances/{instance}/study"),
        Request(f"/instances/{instance}/series?short"),
        Request(f"//studies//{study}/"),
        Request(f"/studies/{NO_RESOURCE}"),
        Request(f"/studies/{NO_RESOURCE}/series"),
        Request(f"/studies/{study}/nothing"),
        Request(f"/series/{study}"),
        Request("/nothing"),
        Request("/nothing//at/all/"),
        *(Request("/instances", method) for method in ("PUT", "DELETE", "HEAD", "OPTIONS", "PATCH")),
        Request(f"/instances/{instance}", "POST"),
        Request(f"/patients/{patient}/statistics"),
        Request(f"/instances/{instance}/statistics"),
        Request("/statistics"),
        Request("/statistics", headers={"Accept": "application/xml"}),
        Request(f"/instances/{instance}/tags"),
        Request(f"/instances/{instance}/tags?short"),
        Request(f"/instances/{instance}/simplified-tags"),
        Request(f"/instances/{instance}/header?simplify"),
        Request(f"/instances/{instance}/content"),
        Request(f"/instances/{instance}/content/PatientName"),
        Request(f"/instances/{instance}/content/foo"),
        Request(f"/studies/{study}/module"),
        Request(f"/studies/{study}/module-patient?short"),
        Request(f"/studies/{study}/shared-tags?simplify"),
        Request(f"/series/{series}/instances-tags?short"),
        Request("/changes?limit=4"),
        Request("/changes?type=NewPatient"),
        Request("/changes?type=Nothing"),
        Request("/changes?limit=0"),
        Request("/exports"),
        Request("/exports", "DELETE"),
        Request("/tools/lookup", "POST", body="PAT1"),
        Request("/tools/lookup", "POST", body="nothing"),
        Request("/tools/lookup", "POST", body="*"),
        Request("/tools/generate-uid"),
        Request("/tools/log-level"),
        Request("/tools/log-level-http", "PUT", body="verbose"),
        Request("/tools/log-level"),
        Request("/tools/log-level-dicom"),
        Request("/tools/log-level", "PUT", body="foo"),
        Request("/tools/default-encoding"),
        Request("/tools/default-encoding", "PUT", body="utf8"),
        Request("/tools/default-encoding"),
        Request("/tools/default-encoding", "PUT", body="foo"),
        Request("/tools/unknown-sop-class-accepted", "PUT", body="true"),
        Request("/tools/unknown-sop-class-accepted"),
        Request("/tools/accepted-transfer-syntaxes", "PUT", body='["1.2.840.10008.1.2.4.5?"]'),
        Request("/tools/reset"),
        Request("/plugins"),
        Request("/plugins/explorer.js"),
        Request("/plugins/nothing"),
        Request("/"),
        Request(f"/instances/{instance}", "DELETE"),
        Request(f"/instances/{instance}", "DELETE"),
        Request(f"/studies/{study}", "DELETE"),
        Request("/changes", "DELETE"),
        Request("/changes"),
    ]  # fmt: skip


def mask(body: bytes) -> bytes:
    for pattern, replacement in _MASKS:
        body = pattern.sub(replacement, body)
    return body


def answer(status: int, headers: dict[str, str], body: bytes) -> dict[str, Any]:
    """Return what of an answer is compared: the status, headers that matter, the body with its masks."""
    kept = {name: headers[name] for name in _HEADERS if name in headers}
    return {"status": status, "headers": kept, "body": mask(body).decode("latin-1")}


def golden() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(GOLDEN.read_text())
    return rows


def levels(uploaded: bytes) -> dict[str, str]:
    """Return the four identifiers in the answer to an upload."""
    stored = json.loads(uploaded)
    return {
        "patient": stored["ParentPatient"],
        "study": stored["ParentStudy"],
        "series": stored["ParentSeries"],
        "instance": stored["ID"],
    }


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _send(base: str, request: Request) -> tuple[int, dict[str, str], bytes]:
    data = samples()[request.upload] if request.upload else request.body.encode()
    has_body = request.method in {"POST", "PUT", "PATCH"}
    sent = urllib.request.Request(
        base + request.path, data if has_body else None, request.headers, method=request.method
    )
    if has_body:
        sent.add_header("Content-Type", "application/dicom")
    try:
        with urllib.request.build_opener(_NoRedirect).open(sent) as response:
            return response.status, dict(response.headers), response.read()
    except urllib.error.HTTPError as exc:
        return exc.code, dict(exc.headers), exc.read()


def record(base: str) -> None:
    """Ask an empty Orthanc everything and keep the answers."""
    ids = levels(_send(base, Request("/instances", "POST", upload="first"))[2])
    _send(base, Request(f"/patients/{ids['patient']}", "DELETE"))
    _send(base, Request("/changes", "DELETE"))
    rows = [{"path": r.path, "method": r.method} | answer(*_send(base, r)) for r in requests(ids)]
    GOLDEN.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    print(f"{len(rows)} exchanges in {GOLDEN}")


if __name__ == "__main__":
    record(sys.argv[1])
