"""Rendered resources and thumbnails over WADO-RS: every level, every parameter, every type, and what is refused (PS3.18 §8.3.5, §10.4)."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from actors.wire.multipart import RELATED, parse_boundary, parse_parameters, parts
from api.dicomweb.rendered import addressed_frames
from api.errors import NotAcceptable
from tests.contract.picture_stage import (
    BROKEN,
    BROKEN_LATE,
    COLOURED,
    COLOURS,
    DOCUMENT,
    FILM,
    FRAMED,
    FRAMES,
    GRAY,
    INTERCEPT,
    PDF,
    RAW,
    REPORT,
    SLICES,
    SLOPE,
    VALUES,
    VIDEO,
    decoded,
    is_close,
    picture_stage,
    scaled,
    slice_of,
    stretched,
    uids,
    windowed,
)
from tests.contract.rest_stage import Answer, RestStage, pieces
from tests.dicom_bytes import uid

PNG = "image/png"
GRAYS = VALUES[0, ..., 0]


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RestStage]:
    with picture_stage(tmp_path_factory.mktemp("rendered")) as stage:
        yield stage


def address(study: int, level: str = "instance", instance: int = 1) -> str:
    names = uids(study, instance)[: {"study": 1, "series": 2}.get(level, 3)]
    path = "/".join(f"{kind}/{each}" for kind, each in zip(("studies", "series", "instances"), names, strict=False))
    return f"/dicom-web/{path}" + ("/frames/1" if level == "frame" else "")


class Ask:
    def __init__(self, rest: RestStage) -> None:
        self._rest = rest

    def __call__(self, path: str, accept: str | None = PNG, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._rest.ask(path, headers=named | ({} if accept is None else {"Accept": accept}))


@pytest.fixture
def ask(rest: RestStage) -> Ask:
    return Ask(rest)


def refused(answer: Answer, status: int, said: str) -> None:
    assert answer.status == status, answer
    assert said in json.loads(answer.body)["Details"]


def split(answer: Answer) -> list[tuple[dict[str, str], bytes]]:
    assert answer.status == 200, answer
    boundary = parse_boundary(answer.headers["Content-Type"], RELATED)
    assert boundary is not None
    return [(dict(headers), b"".join(content)) for headers, content in parts([answer.body], boundary)]


# --- levels and types ---


@pytest.mark.parametrize("level", ["study", "series", "instance", "frame"])
@pytest.mark.parametrize("resource", ["rendered", "thumbnail"])
@pytest.mark.parametrize("accept", [None, "image/jpeg", "image/png", "image/gif"])
def test_every_level_has_pictures_of_every_type(ask: Ask, level: str, resource: str, accept: str | None) -> None:
    answer = ask(f"{address(GRAY, level)}/{resource}", accept)
    assert answer.headers["Content-Type"] == (accept or "image/jpeg")
    assert is_close(decoded(answer), stretched(GRAYS), 4 if answer.headers["Content-Type"] == "image/jpeg" else 0.501)


@pytest.mark.parametrize("resource", ["rendered", "thumbnail"])
def test_a_series_is_shown_by_its_middle_and_a_study_by_a_series_that_can_be_shown(ask: Ask, resource: str) -> None:
    wanted = stretched(slice_of(3)[0, ..., 0])
    for level in ("series", "study"):
        assert is_close(decoded(ask(f"{address(SLICES, level)}/{resource}")), wanted)
        assert ask(f"{address(SLICES, level)}/{resource}", None).headers["Content-Type"] == "image/jpeg"


def test_frames_are_counted_from_one_and_an_instance_is_shown_by_the_first(ask: Ask) -> None:
    one = address(FRAMED)
    for frame in (1, 2, 3):
        for resource in ("rendered", "thumbnail"):
            assert is_close(decoded(ask(f"{one}/frames/{frame}/{resource}")), stretched(FRAMES[frame - 1, ..., 0]))
    assert is_close(decoded(ask(f"{one}/rendered")), stretched(FRAMES[0, ..., 0]))
    assert is_close(decoded(ask(f"{one}/frames/3,1/thumbnail")), stretched(FRAMES[2, ..., 0]))
    for beyond in ("4", "999999999"):
        refused(ask(f"{one}/frames/{beyond}/rendered"), 400, "There is no frame")
    for none in ("0", "x", "-1", "1,", "1,x", "1.0", "9999999999", "²"):
        refused(ask(f"{one}/frames/{none}/rendered"), 400, "list of frames")
    refused(ask(f"{one}/frames/{'1,' * 10_000}1/rendered"), 400, "10000 frames at most")


def test_colours_stay_colours(ask: Ask) -> None:
    assert np.array_equal(decoded(ask(f"{address(COLOURED)}/rendered")), COLOURS[0])
    made = decoded(ask(f"{address(COLOURED)}/rendered", "image/gif"))
    assert is_close(made, COLOURS[0].astype("f8"), 64)  # two bits of blue


def test_a_gif_of_an_instance_moves(ask: Ask) -> None:
    answer = ask(f"{address(FRAMED)}/rendered?viewport=16,18", "image/gif")
    assert answer.headers["Content-Type"] == "image/gif"
    made = decoded(answer)
    assert made.shape == (3, 18, 16, 3)
    for shown, frame in zip(made, FRAMES, strict=True):
        assert is_close(shown[..., 0], scaled(stretched(frame[..., 0]), 18, 16))
        assert (shown == shown[..., :1]).all()
    assert answer.body.startswith(b"GIF89a")
    assert answer.body.count(b"\x21\xf9\x04\x00\x19\x00") == 3, "for 250 ms each, by Frame Time"
    assert answer.body.count(b"NETSCAPE2.0") == 1
    for still in ("/frames/2/rendered", "/thumbnail"):
        assert decoded(ask(f"{address(FRAMED)}{still}", "image/gif")).ndim == 2


def test_a_header_of_many_types_costs_no_more_than_one_of_few(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    def counting(name: str) -> Any:
        real = getattr(addressed_frames, name)

        def count(*args: Any) -> Any:
            looked.append(name)
            return real(*args)

        return count

    for name in ("middle_of", "ordered_instances"):
        monkeypatch.setattr(addressed_frames, name, counting(name))
    others = [f"a/{number}, multipart/related; type=a/{number}" for number in range(500)]
    repeated = ["image/jp2", "video/mp4", "multipart/related; type=video/mp4"] * 200
    assert ask(f"{address(SLICES, 'study')}/rendered", ", ".join(others + repeated)).status == 406
    assert len(looked) == 4  # both series, alone and in parts


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "image/jpeg"),
        ("image/*", "image/jpeg"),
        ("", "image/jpeg"),
        ("image/png;q=0.5, image/gif;q=0.9, text/html", "image/gif"),
        ("image/jp2, image/png;q=0.1", "image/png"),
        ("IMAGE/PNG", "image/png"),
        ("image/jpeg;q=0, */*;q=0.1", "image/jpeg"),
    ],
)
def test_the_best_type_that_can_be_had_is_given(ask: Ask, accept: str, kind: str) -> None:
    assert ask(f"{address(GRAY)}/rendered", accept).headers["Content-Type"] == kind


def test_the_parameter_accept_replaces_the_header(ask: Ask) -> None:
    for query in ("accept=image/png", "accept=image%2Fpng"):
        assert ask(f"{address(GRAY)}/rendered?{query}", "image/gif").headers["Content-Type"] == PNG
    refused(ask(f"{address(GRAY)}/rendered?accept=text/html", PNG), 406, "image/png")


@pytest.mark.parametrize("accept", ["text/html", "image/jp2", "video/mpeg", "application/dicom", "multipart/related; type=text/html", "image/png;q=0"])  # fmt: skip
@pytest.mark.parametrize("level", ["study", "series", "instance", "frame"])
def test_types_that_cannot_be_had_are_refused(ask: Ask, accept: str, level: str) -> None:
    refused(ask(f"{address(GRAY, level)}/rendered", accept), 406, "image/jpeg, image/png, image/gif")


# --- parts ---


@pytest.mark.parametrize("level", ["study", "series"])
def test_parts_are_all_frames_in_order(ask: Ask, level: str) -> None:
    found = split(ask(f"{address(SLICES, level)}/rendered", 'multipart/related; type="image/png"'))
    for instance, (headers, body) in enumerate(found, 1):
        assert headers["content-type"] == PNG
        assert headers["content-location"].endswith(f"{address(SLICES, 'instance', instance)}/frames/1/rendered")
        assert is_close(decoded(Answer(200, {"Content-Type": PNG}, body)), stretched(slice_of(instance)[0, ..., 0]))
    assert len(found) == 5  # the reports of the study are no pictures


@pytest.mark.parametrize(
    ("path", "frames"), [("", [1, 2, 3]), ("/frames/1", [1]), ("/frames/3,1", [3, 1]), ("/frames/2,2", [2, 2])]
)
def test_parts_of_an_instance_are_its_frames(ask: Ask, path: str, frames: list[int]) -> None:
    answer = ask(f"{address(FRAMED)}{path}/rendered", "multipart/related; type=image/gif")
    assert parse_parameters(answer.headers["Content-Type"])["type"] == "image/gif"
    found = split(answer)
    for frame, (headers, body) in zip(frames, found, strict=True):
        assert headers["content-location"].endswith(f"/frames/{frame}/rendered")
        made = decoded(Answer(200, {"Content-Type": headers["content-type"]}, body))
        assert is_close(made, stretched(FRAMES[frame - 1, ..., 0]))


def test_several_frames_have_parts_where_any_type_is_taken_and_are_refused_where_one_is(ask: Ask) -> None:
    path = f"{address(FRAMED)}/frames/1,2/rendered"
    for accept in ("*/*", "image/*", "image/jpeg, */*;q=0.1", "multipart/related", None):
        assert [headers["content-type"] for headers, _ in split(ask(path, accept))] == ["image/jpeg"] * 2
    refused(ask(path, "image/jpeg"), 406, "image/jpeg")


def test_a_thumbnail_is_one_picture_in_parts_too(ask: Ask) -> None:
    ((headers, body),) = split(ask(f"{address(FRAMED)}/thumbnail", "multipart/related; type=image/png"))
    assert is_close(decoded(Answer(200, {"Content-Type": headers["content-type"]}, body)), stretched(FRAMES[0, ..., 0]))


def test_a_frame_that_cannot_be_had_breaks_an_answer_off(rest: RestStage) -> None:
    accept = "accept=multipart/related;type=image/png"
    for study in (BROKEN, BROKEN_LATE):
        refused(rest.ask(f"{address(study)}/frames/2/rendered"), 406, "")
        assert rest.ask(f"{address(study)}/frames/1/rendered").status == 200
    refused(rest.ask(f"{address(BROKEN)}/rendered?{accept}"), 406, "")  # nothing has left yet
    answer = pieces(rest.app, f"{address(BROKEN_LATE)}/rendered?{accept}", "GET", b"")
    assert next(answer)
    with pytest.raises(NotAcceptable):
        next(answer)


# --- what is no picture ---


def test_a_document_leaves_as_it_is(ask: Ask) -> None:
    for level in ("study", "series", "instance"):
        for accept in (None, "application/pdf", "application/*", "image/png, application/pdf;q=0.1"):
            answer = ask(f"{address(DOCUMENT, level)}/rendered", accept)
            assert (answer.status, answer.headers["Content-Type"], answer.body) == (200, "application/pdf", PDF)
        ((headers, body),) = split(ask(f"{address(DOCUMENT, level)}/rendered", "multipart/related; type=application/pdf"))  # fmt: skip
        assert (headers["content-type"], body) == ("application/pdf", PDF)
        assert ask(f"{address(DOCUMENT, level)}/rendered", PNG).status == 406
        assert ask(f"{address(DOCUMENT, level)}/thumbnail", None).status == 406


def test_a_video_leaves_as_it_is(ask: Ask) -> None:
    for level in ("study", "series", "instance"):
        for accept, kind in ((None, "video/mpeg"), ("video/mpeg2", "video/mpeg2"), ("video/*", "video/mpeg")):
            answer = ask(f"{address(FILM, level)}/rendered", accept)
            assert (answer.status, answer.headers["Content-Type"]) == (200, kind)
            assert (answer.body, answer.headers["Content-Length"]) == (VIDEO, str(len(VIDEO)))
        ((_, body),) = split(ask(f"{address(FILM, level)}/rendered", "multipart/related; type=video/mpeg"))
        assert body == VIDEO
        for accept in ("video/mp4", "image/jpeg"):
            assert ask(f"{address(FILM, level)}/rendered", accept).status == 406


def test_a_report_is_shown_as_text(ask: Ask) -> None:
    lines = ["Findings", "  Finding: <b>Größe</b> & more", "  Diameter: 12.5 millimeter", "Conclusion: Normal"]
    for level in ("study", "series", "instance"):
        path = f"{address(REPORT, level)}/rendered"
        plain = ask(path, "text/plain")
        assert (plain.status, plain.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
        shown = plain.body.decode().splitlines()
        assert shown[0] == "Radiology Report"
        assert "Patient: Doe Jane 9, PAT9, 19700102, F" in shown
        assert shown[shown.index("") + 1 :] == lines
        for accept in (None, "text/html", "text/*", "image/png, text/html;q=0.1"):
            page = ask(path, accept)
            assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
            assert "&lt;b&gt;Größe&lt;/b&gt; &amp; more" in page.body.decode()
            assert b"<b>Gr" not in page.body
        ((headers, body),) = split(ask(path, "multipart/related; type=text/plain"))
        assert (headers["content-type"], body) == ("text/plain", plain.body)
        assert ask(path, "image/jpeg").status == 406
        assert ask(f"{address(REPORT, level)}/thumbnail", None).status == 406


@pytest.mark.parametrize("accept", [None, PNG, "multipart/related; type=image/png"])
def test_what_has_no_pixels_is_refused(ask: Ask, accept: str | None) -> None:
    for level in ("study", "series", "instance", "frame"):
        for resource in ("rendered", "thumbnail"):
            refused(ask(f"{address(RAW, level)}/{resource}", accept), 406, "no Pixel Data")


def test_what_is_not_here_is_not_found(ask: Ask) -> None:
    study, series, instance = uids(GRAY)
    for names in ((study, series, "1.2"), (study, "1.2", instance), ("1.2", series, instance), (uid(9, FRAMED), series, instance)):  # fmt: skip
        path = "/".join(f"{kind}/{each}" for kind, each in zip(("studies", "series", "instances"), names, strict=True))
        for below in ("rendered", "thumbnail", "frames/1/rendered"):
            assert ask(f"/dicom-web/{path}/{below}").status == 404
    assert ask("/dicom-web/studies/1.2/rendered").status == 404


# --- windows ---


@pytest.mark.parametrize("function", ["linear", "linear-exact", "sigmoid"])
@pytest.mark.parametrize(("center", "width"), [("40", "400"), ("-512.5", "1000.25"), ("1e2", "3"), ("-100", "4096")])
def test_windows_are_the_standards(ask: Ask, function: str, center: str, width: str) -> None:
    made = decoded(ask(f"{address(GRAY)}/rendered?window={center},{width},{function}"))
    assert is_close(made, windowed(GRAYS * SLOPE + INTERCEPT, float(center), float(width), function))


def test_the_narrowest_windows_are_thresholds(ask: Ask) -> None:
    values = GRAYS * SLOPE + INTERCEPT
    made = decoded(ask(f"{address(GRAY)}/rendered?window=40,1,linear"))
    assert np.array_equal(made, np.where(values > 39.5, 255, 0))
    made = decoded(ask(f"{address(GRAY)}/rendered?window=40.5,0.001,linear-exact"))
    assert np.array_equal(made, np.where(values > 40.5, 255, 0))


@pytest.mark.parametrize("text", ["", "40", "40,400", "40,400,", "40,400,LINEAR", "40,400,x", "x,400,linear", "40,x,linear", "nan,400,linear", "40,inf,linear", "1e999,1,linear", "40,400,linear,1", "40,0,linear", "40,0.5,linear", "40,0,linear-exact", "40,-1,sigmoid", ",,linear"])  # fmt: skip
def test_windows_that_are_none_are_refused(ask: Ask, text: str) -> None:
    refused(ask(f"{address(GRAY)}/rendered?window={text}"), 400, "window")


# --- viewports ---


@pytest.mark.parametrize(
    ("viewport", "rows", "columns"),
    [
        ("15,20", 20, 15),
        ("60,80", 80, 60),
        ("100,20", 20, 15),
        ("15,100", 20, 15),
        ("30,40", 40, 30),
        ("1,1", 1, 1),
        ("37,53", 49, 37),
    ],
)
def test_a_picture_is_as_large_as_its_viewport_lets_it_be(ask: Ask, viewport: str, rows: int, columns: int) -> None:
    wanted = scaled(stretched(GRAYS), rows, columns)
    for resource in ("rendered", "thumbnail"):
        assert is_close(decoded(ask(f"{address(GRAY)}/{resource}?viewport={viewport}")), wanted)


@pytest.mark.parametrize(
    ("viewport", "part"),
    [
        ("30,40,5,7,10,20", GRAYS[7:27, 5:15]),
        ("30,40,5,7,-10,20", GRAYS[7:27, 5:15][:, ::-1]),
        ("30,40,5,7,10,-20", GRAYS[7:27, 5:15][::-1]),
        ("30,40,-5,-7,-10,-20", GRAYS[7:27, 5:15][::-1, ::-1]),
        ("30,40,,,10,20", GRAYS[:20, :10]),
        ("30,40,20", GRAYS[:, 20:]),
        ("30,40,20,30", GRAYS[30:, 20:]),
        ("30,40,,,10", GRAYS[:, :10]),
        ("30,40,,,,20", GRAYS[:20]),
        ("30,40,20,30,100,100", GRAYS[30:, 20:]),
        ("30,40,5.4,6.6,10,20", GRAYS[7:27, 5:15]),
        ("30,40,0,0,-30,40", GRAYS[:, ::-1]),
        ("30,40,,,,", GRAYS),
    ],
)
def test_a_viewport_may_show_a_part_turned_over(ask: Ask, viewport: str, part: Any) -> None:
    ratio = min(30 / part.shape[1], 40 / part.shape[0])
    rows, columns = (int(size * ratio + 0.5) for size in part.shape)
    made = decoded(ask(f"{address(GRAY)}/rendered?viewport={viewport}&window=40,3000,linear-exact"))
    assert is_close(made, scaled(windowed(part * SLOPE + INTERCEPT, 40, 3000, "linear-exact"), rows, columns))
    # Without a window the full range is that of the part.
    assert is_close(decoded(ask(f"{address(GRAY)}/rendered?viewport={viewport}")), scaled(stretched(part), rows, columns))  # fmt: skip


@pytest.mark.parametrize("kind", ["image/jpeg", "image/png", "image/gif"])
@pytest.mark.parametrize("viewport", ["10,12,1,2,5,6", "5,6,1,2,5,6", "5,6,1,2,-5,-6", "10,12,,,-10", "20,24,1,2,-5,6"])
def test_parts_of_colours_and_grays_have_every_type(ask: Ask, viewport: str, kind: str) -> None:
    for study in (COLOURED, GRAY):
        exact, made = (decoded(ask(f"{address(study)}/rendered?viewport={viewport}", each)) for each in (PNG, kind))
        assert exact.shape == made.shape
        assert is_close(made, exact.astype("f8"), {"image/png": 0, "image/gif": 64, "image/jpeg": 255}[kind])
    part = COLOURS[0][2:8, 1:6]
    assert np.array_equal(decoded(ask(f"{address(COLOURED)}/rendered?viewport=5,6,1,2,-5,-6")), part[::-1, ::-1])


@pytest.mark.parametrize("text", ["", "30", ",", "30,", ",40", "0,40", "30,0", "-30,40", "1.5,2", "x,2", "65536,1", "65535,65535", "99999999999,1", "30,40,x", "30,40,0,0,0,5", "30,40,0,0,5,0", "30,40,1,2,3,4,5", "30,40,nan", "30,40,30,0", "30,40,0,40,5,5", "30,40,1e300,0,5,5"])  # fmt: skip
def test_viewports_that_are_none_are_refused(ask: Ask, text: str) -> None:
    answer = ask(f"{address(GRAY)}/rendered?viewport={text}")
    assert answer.status == 400, answer
    assert {"viewport", "part"} & {*json.loads(answer.body)["Details"].lower().replace(",", " ").split()}


@pytest.mark.parametrize("query", ["viewport=30,40,1,1", "window=40,400,linear"])
def test_thumbnails_have_no_parts_and_windows(ask: Ask, query: str) -> None:
    refused(ask(f"{address(GRAY)}/thumbnail?{query}"), 400, "rendered")


# --- other parameters ---


def test_quality_is_that_of_jpeg(ask: Ask) -> None:
    sizes = [len(ask(f"{address(GRAY)}/rendered?quality={each}", "image/jpeg").body) for each in (1, 50, 100)]
    assert sizes == sorted(set(sizes))
    for text in ("0", "101", "x", "", "50.5", "-1"):
        refused(ask(f"{address(GRAY)}/rendered?quality={text}"), 400, "quality")


@pytest.mark.parametrize("query", ["annotation=patient", "annotation=technique", "annotation=patient,technique", "iccprofile=yes", "iccprofile=srgb"])  # fmt: skip
def test_what_is_not_done_is_told_by_a_warning(ask: Ask, query: str) -> None:
    answer = ask(f"{address(GRAY)}/rendered?{query}")
    assert is_close(decoded(answer), stretched(GRAYS))
    assert answer.headers["Warning"].startswith("299 http://")
    assert query.partition("=")[0] in answer.headers["Warning"]


def test_values_that_nobody_knows_are_refused_and_what_is_asked_to_be_left_is_not_warned_of(ask: Ask) -> None:
    for query in ("annotation=x", "annotation=patient,", "iccprofile=x"):
        refused(ask(f"{address(GRAY)}/rendered?{query}"), 400, query.partition("=")[0])
    assert "Warning" not in ask(f"{address(GRAY)}/rendered?iccprofile=no").headers


# --- what browsers keep ---


def test_a_picture_that_a_client_has_is_not_sent_again(ask: Ask) -> None:
    path = f"{address(GRAY)}/rendered"
    first = ask(path)
    tag = first.headers["Etag"]
    assert first.headers["Cache-Control"] == "private, no-cache"
    assert "Accept" in first.headers["Vary"]
    for known in (tag, f'"x", {tag}', f"W/{tag}", "*"):
        again = ask(path, If_None_Match=known)
        assert (again.status, again.body, again.headers["Etag"]) == (304, b"", tag)
    for other in (
        ask(path, "image/jpeg", If_None_Match=tag),
        ask(f"{path}?viewport=3,4", If_None_Match=tag),
        ask(f"{path}?window=1,2,linear", If_None_Match=tag),
        ask(f"{address(FRAMED)}/frames/1/rendered", If_None_Match=tag),
        ask(path, If_None_Match='"x"'),
    ):
        assert other.status == 200
    assert "Etag" not in ask(f"{address(RAW)}/rendered").headers
