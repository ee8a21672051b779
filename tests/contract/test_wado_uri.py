"""WADO-URI: every parameter of PS3.18 §9.1.2, every type, and what is refused."""

import json
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread

from actors.messages.dicomweb_settings import DicomWebSettings
from api.app import create_app
from tests.contract.picture_stage import (
    COLOURED,
    COLOURS,
    DOCUMENT,
    FILM,
    FRAMED,
    FRAMES,
    GRAY,
    INTERCEPT,
    MPEG2,
    PDF,
    RAW,
    REPORT,
    SLOPE,
    VALUES,
    VIDEO,
    WINDOWED,
    decoded,
    is_close,
    picture_stage,
    scaled,
    uids,
    windowed,
)
from tests.contract.rest_stage import Answer, RestStage, call
from tests.dicom_bytes import uid

RLE, IMPLICIT, EXPLICIT = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
UNITS = VALUES[0, ..., 0] * SLOPE + INTERCEPT


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestStage]:
    with picture_stage(tmp_path_factory.mktemp("wado")) as stage:
        yield stage


class Ask:
    def __init__(self, rest: RestStage) -> None:
        self._rest = rest

    def __call__(self, study: int, query: str = "contentType=image/png", **headers: str) -> Answer:
        names = dict(zip(("studyUID", "seriesUID", "objectUID"), uids(study), strict=True))
        told = "&".join(f"{name}={value}" for name, value in names.items())
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.raw(f"requestType=WADO&{told}&{query}", **named)

    def raw(self, query: str, **headers: str) -> Answer:
        return self._rest.ask(f"/wado?{query}", headers=headers)


@pytest.fixture
def ask(rest: RestStage) -> Ask:
    return Ask(rest)


def refused(answer: Answer, status: int, said: str) -> None:
    assert answer.status == status, answer
    assert said in json.loads(answer.body)["Details"]


# --- what is asked for ---


def test_an_object_is_found_by_its_own_uid_and_those_above_it_have_to_be_its(ask: Ask) -> None:
    study, series, instance = uids(GRAY)
    for more in ("", f"&studyUID={study}", f"&seriesUID={series}", f"&seriesUID={series}&studyUID={study}"):
        assert ask.raw(f"requestType=WADO&objectUID={instance}{more}").status == 200
    for more in ("&studyUID=1.2", "&seriesUID=1.2", f"&studyUID={uid(9, FRAMED)}", f"&seriesUID={uid(9, FRAMED, 1)}&studyUID={study}"):  # fmt: skip
        assert ask.raw(f"requestType=WADO&objectUID={instance}{more}").status == 404
    assert ask.raw("requestType=WADO&objectUID=1.2").status == 404


@pytest.mark.parametrize("query", ["", "requestType=WADO", "requestType=WADO&objectUID=", "objectUID=1.2", "requestType=wado&objectUID=1.2", "requestType=X&objectUID=1.2", "REQUESTTYPE=WADO&objectUID=1.2"])  # fmt: skip
def test_requests_that_are_none_are_refused(ask: Ask, query: str) -> None:
    refused(ask.raw(query), 400, "objectUID" if "requestType=WADO" in query else "requestType")


@pytest.mark.parametrize(
    ("study", "query", "accept", "kind"),
    [
        (GRAY, "", None, "image/jpeg"),
        (GRAY, "", "*/*", "image/jpeg"),
        (GRAY, "", "text/html, image/png;q=0.5", "image/png"),
        (GRAY, "contentType=image/png", "image/jpeg", "image/png"),
        (GRAY, "contentType=image%2Fgif", None, "image/gif"),
        (GRAY, "contentType=image/jp2,image/png", None, "image/png"),
        (GRAY, "contentType=image/*", None, "image/jpeg"),
        (GRAY, "contentType=application/dicom", None, "application/dicom"),
        (FRAMED, "", None, "image/jpeg"),
        (DOCUMENT, "", None, "application/pdf"),
        (DOCUMENT, "contentType=application/pdf", None, "application/pdf"),
        (DOCUMENT, "contentType=application/dicom", None, "application/dicom"),
        (FILM, "", None, "video/mpeg"),
        (FILM, "contentType=video/mpeg2", None, "video/mpeg2"),
        (RAW, "", None, "application/dicom"),
        (RAW, "contentType=image/png,application/dicom", None, "application/dicom"),
        (REPORT, "", None, "text/html; charset=utf-8"),
        (REPORT, "contentType=text/plain", None, "text/plain; charset=utf-8"),
        (REPORT, "contentType=image/png,application/dicom", None, "application/dicom"),
    ],
)
def test_the_type_is_that_of_the_query_or_of_the_header(
    ask: Ask, study: int, query: str, accept: str | None, kind: str
) -> None:
    answer = ask(study, query, **({} if accept is None else {"Accept": accept}))
    assert (answer.status, answer.headers["Content-Type"]) == (200, kind)
    if kind in {"application/pdf", "video/mpeg"}:
        assert answer.body == (PDF if study == DOCUMENT else VIDEO)


@pytest.mark.parametrize(
    ("study", "query"),
    [
        (GRAY, "contentType=text/html"),
        (GRAY, "contentType=application/pdf"),
        (GRAY, "contentType=multipart/related"),
        (DOCUMENT, "contentType=image/jpeg"),
        (FILM, "contentType=image/jpeg"),
        (REPORT, "contentType=image/jpeg"),
        (RAW, "contentType=image/png"),
        (RAW, "contentType=text/html"),
    ],
)
def test_types_that_cannot_be_had_are_refused(ask: Ask, study: int, query: str) -> None:
    refused(ask(study, query), 406, "")


# --- pictures ---


def test_pictures_show_the_instances_own_window(ask: Ask) -> None:
    assert is_close(decoded(ask(WINDOWED)), windowed(UNITS, 100, 900, "linear-exact"), 1)  # cut off, as in REST
    assert np.array_equal(decoded(ask(COLOURED)), COLOURS[0])


def test_windows_are_the_standards(ask: Ask) -> None:
    for center, width in (("40", "400"), ("-512.5", "1"), ("1e2", "4096")):
        made = decoded(ask(WINDOWED, f"contentType=image/png&windowCenter={center}&windowWidth={width}"))
        if width == "1":
            assert np.array_equal(made, np.where(float(center) - 0.5 < UNITS, 255, 0))
        else:
            assert is_close(made, windowed(UNITS, float(center), float(width), "linear"))
    for query in ("windowCenter=1", "windowWidth=1", "windowCenter=x&windowWidth=1", "windowCenter=1&windowWidth=0", "windowCenter=1&windowWidth=nan", "windowCenter=&windowWidth="):  # fmt: skip
        assert ask(GRAY, query).status == 400


def test_frames_are_counted_from_one(ask: Ask) -> None:
    for frame in (1, 2, 3):
        made = decoded(ask(FRAMED, f"contentType=image/png&frameNumber={frame}"))
        assert is_close(made, FRAMES[frame - 1, ..., 0] * 255.0 / 65536, 1)
    for none in ("0", "x", "-1", "", "1.0", "9999999999", "²"):
        refused(ask(FRAMED, f"frameNumber={none}"), 400, "frameNumber")
    refused(ask(FRAMED, "frameNumber=4"), 400, "There is no frame")


@pytest.mark.parametrize(
    ("query", "rows", "columns"),
    [("rows=20", 20, 15), ("columns=15", 20, 15), ("rows=20&columns=100", 20, 15), ("rows=80&columns=60", 80, 60)],
)
def test_pictures_fit_into_rows_and_columns(ask: Ask, query: str, rows: int, columns: int) -> None:
    whole = windowed(UNITS, 100, 900, "linear-exact")
    assert is_close(decoded(ask(WINDOWED, f"contentType=image/png&{query}")), scaled(whole, rows, columns), 1)


@pytest.mark.parametrize(
    ("region", "part"),
    [
        ("0,0,1,1", UNITS),
        ("0,0,0.5,0.5", UNITS[:20, :15]),
        ("0.5,0.25,1,0.75", UNITS[10:30, 15:]),
        ("0.1,.1,0.2,2e-1", UNITS[4:8, 3:6]),
    ],
)
def test_a_region_is_told_in_fractions(ask: Ask, region: str, part: Any) -> None:
    whole = windowed(part, 100, 900, "linear-exact")
    assert is_close(decoded(ask(WINDOWED, f"contentType=image/png&region={region}")), whole, 1)
    made = decoded(ask(WINDOWED, f"contentType=image/png&rows={2 * part.shape[0]}&region={region}"))
    assert is_close(made, scaled(whole, 2 * part.shape[0], 2 * part.shape[1]), 1)


@pytest.mark.parametrize("query", ["rows=0", "rows=x", "rows=", "columns=65536", "columns=-1", "rows=65535&columns=65535", "region=", "region=0,0,1", "region=0,0,1,1,1", "region=0,0,1,2", "region=0.5,0,0.5,1", "region=-0.1,0,1,1", "region=0,0,nan,1", "region=x,0,1,1", "imageQuality=0", "imageQuality=101", "imageQuality=x"])  # fmt: skip
def test_sizes_parts_and_qualities_that_are_none_are_refused(ask: Ask, query: str) -> None:
    assert ask(GRAY, query).status == 400


def test_quality_is_that_of_jpeg(ask: Ask) -> None:
    sizes = [len(ask(WINDOWED, f"imageQuality={each}").body) for each in (1, 50, 100)]
    assert sizes == sorted(set(sizes))


def test_what_is_not_done_is_refused_or_told(ask: Ask) -> None:
    for name in ("presentationUID", "presentationSeriesUID"):
        refused(ask(GRAY, f"{name}=1.2"), 400, name)
    answer = ask(GRAY, "annotation=patient,technique")
    assert (answer.status, "annotation" in answer.headers["Warning"]) == (200, True)
    assert ask(GRAY, "annotation=x").status == 400
    assert "Warning" not in ask(GRAY, "charset=UTF-8&nonsense=1").headers


def test_a_picture_that_a_client_has_is_not_sent_again(ask: Ask) -> None:
    tag = ask(GRAY).headers["Etag"]
    assert ask(GRAY, If_None_Match=tag).status == 304
    assert ask(GRAY, "contentType=image/png&rows=4", If_None_Match=tag).status == 200


# --- files ---


@pytest.mark.parametrize(("asked", "syntax"), [("", EXPLICIT), ("*", EXPLICIT), (EXPLICIT, EXPLICIT), (IMPLICIT, IMPLICIT), (RLE, RLE)])  # fmt: skip
def test_a_file_leaves_as_it_is_stored_or_in_the_syntax_that_is_told(ask: Ask, asked: str, syntax: str) -> None:
    answer = ask(GRAY, f"contentType=application/dicom{'&transferSyntax=' if asked else ''}{asked}")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/dicom")
    made = dcmread(BytesIO(answer.body))
    assert made.file_meta.TransferSyntaxUID == syntax
    assert np.array_equal(made.pixel_array, VALUES[0, ..., 0])


def test_syntaxes_that_cannot_be_had_are_refused(ask: Ask) -> None:
    refused(ask(GRAY, "contentType=application/dicom&transferSyntax=1.2.3"), 400, "transferSyntax")
    for syntax in (MPEG2, RLE):
        refused(ask(FILM if syntax == RLE else GRAY, f"contentType=application/dicom&transferSyntax={syntax}"), 406, syntax)  # fmt: skip


@pytest.mark.parametrize("syntax", ["", f"&transferSyntax={RLE}"])
def test_a_file_is_de_identified_by_the_basic_profile(ask: Ask, syntax: str) -> None:
    answers = [ask(GRAY, f"contentType=application/dicom&anonymize=yes{syntax}") for _ in range(2)]
    files = [dcmread(BytesIO(answer.body)) for answer in answers]
    for made in files:
        assert made.PatientIdentityRemoved == "YES"
        assert "Basic" in made.DeidentificationMethod or "PS 3.15" in made.DeidentificationMethod
        assert "Jane" not in str(made.PatientName)
        assert "ReferringPhysicianName" not in made or not made.ReferringPhysicianName
        assert np.array_equal(made.pixel_array, VALUES[0, ..., 0])
        assert made.file_meta.TransferSyntaxUID == (RLE if syntax else EXPLICIT)
    assert len({uids(GRAY)[2], *(made.SOPInstanceUID for made in files)}) == 3
    plain = dcmread(BytesIO(ask(GRAY, "contentType=application/dicom&anonymize=no").body))
    assert plain.SOPInstanceUID == uids(GRAY)[2]


def test_what_cannot_be_de_identified_is_refused(ask: Ask) -> None:
    refused(ask(GRAY, "anonymize=x"), 400, "anonymize")
    for study, query in ((DOCUMENT, ""), (DOCUMENT, "&contentType=application/pdf"), (REPORT, "")):
        refused(ask(study, f"anonymize=yes{query}"), 406, "document")
    for query in ("", "&contentType=image/png", "&contentType=application/dicom"):
        refused(ask(COLOURED, f"anonymize=yes{query}"), 406, "burned-in")  # as this instance says of itself
    assert is_close(decoded(ask(WINDOWED, "contentType=image/png&anonymize=yes")), decoded(ask(WINDOWED)), 0)


# --- where it is served ---


def test_the_configuration_says_where_it_is_served(rest: RestStage) -> None:
    query = f"requestType=WADO&objectUID={uids(GRAY)[2]}"

    def statuses(options: DicomWebSettings, *paths: str) -> list[int]:
        app = create_app(replace(rest.deps, settings=replace(rest.deps.settings, dicom_web=options)))
        return [call(app, f"{path}?{query}", "GET", b"", {}).status for path in paths]

    assert statuses(DicomWebSettings(wado_root="there/wado/"), "/there/wado", "/wado") == [200, 404]
    assert statuses(DicomWebSettings(serves_wado_uri=False), "/wado") == [404]
    assert statuses(DicomWebSettings(is_enabled=False), "/wado") == [404]
