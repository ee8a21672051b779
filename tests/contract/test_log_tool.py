"""`sinogram log`: what it prints of an archive, what it hides, and its exit status."""

import json
import re
from pathlib import Path

import pytest

from store.environment import Environment
from store.tables import EVENTS, PERSONAL, key
from tests.clock import Clock
from tests.index_stage import IndexStage, chain, delete_command, store_command
from tools import log
from tools.cli import main


@pytest.fixture
def data(tmp_path: Path, clock: Clock) -> Path:
    """The closed archive of two instances, one of them deleted again."""
    with Environment(tmp_path, writable=True, durable=False) as env:
        stage = IndexStage(env, clock)
        stage.lease()
        stage.ask(store_command("SECRET^ID", correlation=b"\1\2\3\4\5\6\7\10"))
        clock.advance(1.5)
        stage.ask(store_command("SECRET^ID", instance="J"))
        stage.ask(delete_command("SECRET^ID"))
    assert main(["log", "verify", "--data", str(tmp_path)]) == 0
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str, data: Path) -> tuple[int, list[str], str]:
    """Run `sinogram log …`; returns status, lines of standard output, standard error."""
    capsys.readouterr()
    status = main(["log", *arguments, "--data", str(data)])
    printed = capsys.readouterr()
    return status, printed.out.splitlines(), printed.err


def erase(data: Path, seq: int) -> None:
    with Environment(data, writable=True, durable=False) as env, env.begin(write=True) as txn:
        assert txn.delete(key(seq), db=env.tables[PERSONAL])


# -- tail ---------------------------------------------------------------------------------------------------------------


def test_tail_prints_one_line_an_event_in_order(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, lines, _ = run(capsys, "tail", data=data)
    assert status == 0
    assert [line.split()[0] for line in lines] == [str(seq) for seq in range(1, 8)]
    assert [line.split()[3] for line in lines] == [
        "instance-stored/2",
        "series-created/1",
        "study-created/1",
        "patient-created/1",
        "instance-stored/2",
        "resource-deleted/2",
        "rows-purged/2",
    ]
    assert lines[0].split()[1:3] == ["2023-11-14T22:13:20.000000Z", "ingest"]
    assert lines[4].split()[1] == "2023-11-14T22:13:21.500000Z"
    assert json.loads(lines[6].split(maxsplit=4)[4]) == {"resource": 4, "limit": 250}


def test_tail_prints_as_many_as_asked_for(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, lines, _ = run(capsys, "tail", "-n", "2", data=data)
    assert [line.split()[0] for line in lines] == ["6", "7"]


def test_patients_are_named_only_on_demand(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (("tail",), ("show", "1"), ("show", "4"), ("stats",), ("verify",)):
        _, lines, _ = run(capsys, *arguments, data=data)
        assert not re.search(f"SECRET|MODALITY|192.0.2|{chain('SECRET^ID').hex()}", "\n".join(lines))
    for arguments in (("tail",), ("show", "4")):
        _, lines, _ = run(capsys, *arguments, "--personal", data=data)
        assert "SECRET^ID" in "\n".join(lines)


def test_tail_tells_what_was_erased(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    erase(data, 4)
    for arguments in (("tail",), ("tail", "--personal")):
        _, lines, _ = run(capsys, *arguments, data=data)
        assert ["erased" in line for line in lines] == [False, False, False, True, False, False, False]


def test_tail_follows_until_it_is_interrupted(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(log.time, "sleep", wait)  # type: ignore[attr-defined]  # the module's clock
    status, lines, _ = run(capsys, "tail", "--follow", data=data)
    assert (status, len(lines)) == (130, 7)


# -- show -----------------------------------------------------------------------------------------------------------------


def test_show_prints_an_event_with_its_envelope(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, lines, _ = run(capsys, "show", "1", data=data)
    shown = json.loads("\n".join(lines))
    assert status == 0
    assert (shown["seq"], shown["type"], shown["actor"]) == (1, "instance-stored/2", "ingest")
    assert (shown["at_us"], shown["correlation"]) == (1_700_000_000_000_000, "0102030405060708")
    assert re.fullmatch("[0-9a-f]{16}", shown["aggregate"])
    assert (shown["public"]["series"], shown["public"]["size_bytes"]) == (2, 1_000)
    assert "hidden" in shown["personal"]


def test_show_personal_names_tags_as_dicom_does(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, lines, _ = run(capsys, "show", "4", "--personal", data=data)
    personal = json.loads("\n".join(lines))["personal"]
    assert personal["id"] == chain("SECRET^ID").hex()
    assert personal["tags"] == {"0010,0020": "SECRET^ID", "0010,0010": "Doe^SECRET^ID"}


def test_show_says_what_was_erased(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    erase(data, 4)
    _, lines, _ = run(capsys, "show", "4", "--personal", data=data)
    assert json.loads("\n".join(lines))["personal"] == "erased"


def test_show_of_an_event_that_is_not_there_fails(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "show", "8", data=data) == (1, [], "there is no event 8\n")


# -- stats and verify -------------------------------------------------------------------------------------------------------


def test_stats_count_events_and_bytes_by_type(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, lines, _ = run(capsys, "stats", data=data)
    assert status == 0
    table = {line.split()[0]: line.split()[1:] for line in lines[1:-1]}
    assert {tag: int(columns[0]) for tag, columns in table.items()} == {
        "instance-stored/2": 2,
        "series-created/1": 1,
        "study-created/1": 1,
        "patient-created/1": 1,
        "resource-deleted/2": 1,
        "rows-purged/2": 1,
        "all": 7,
    }
    assert int(table["all"][1]) == sum(int(columns[2]) for tag, columns in table.items() if tag != "all")
    assert re.fullmatch(r"the environment takes [\d,]+ bytes on disk, read models included", lines[-1])


def test_verify_tells_the_last_hash_which_vouches_for_all(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, lines, _ = run(capsys, "verify", data=data)
    assert status == 0
    assert re.fullmatch(r"7 events; every link holds; the last hash is [0-9a-f]{64}", lines[-1])
    erase(data, 1)
    erase(data, 4)
    _, again, _ = run(capsys, "verify", data=data)
    assert again[-1] == lines[-1].replace("7 events;", "7 events, 2 of them erased;")


def test_verify_reports_its_progress(data: Path) -> None:
    seen: list[int] = []
    assert log.verify(data, progress=seen.append) == 0
    assert seen == list(range(1, 8))


@pytest.mark.parametrize(
    ("seq", "sentence"),
    [
        (1, "event 1 is missing: 2 follows 0"),
        (3, "event 3 is missing: 4 follows 2"),
        (7, "the end of the log is missing: 1 events after event 6"),
    ],
)
def test_verify_names_the_event_that_is_missing(
    data: Path, capsys: pytest.CaptureFixture[str], seq: int, sentence: str
) -> None:
    with Environment(data, writable=True, durable=False) as env, env.begin(write=True) as txn:
        txn.delete(key(seq), db=env.tables[EVENTS])
    assert run(capsys, "verify", data=data) == (2, [], f"the log is damaged: {sentence}\n")


def test_verify_names_the_event_whose_personal_part_was_altered(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Environment(data, writable=True, durable=False) as env, env.begin(write=True) as txn:
        row = txn.get(key(4), db=env.tables[PERSONAL])
        txn.put(key(4), row.replace(b"SECRET", b"PUBLIC"), db=env.tables[PERSONAL])
    status, _, err = run(capsys, "verify", data=data)
    assert (status, err) == (2, "the log is damaged: the personal part of event 4 does not match the log\n")


@pytest.mark.parametrize("arguments", [("tail",), ("show", "1"), ("stats",), ("verify",)])
def test_a_folder_without_an_archive_is_an_error_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    status, lines, err = run(capsys, *arguments, data=tmp_path)
    assert (status, lines) == (1, [])
    assert "holds no archive" in err


def test_an_empty_archive_has_an_empty_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Environment(tmp_path, writable=True).close()
    assert run(capsys, "tail", data=tmp_path) == (0, [], "")
    status, lines, _ = run(capsys, "verify", data=tmp_path)
    assert (status, lines[-1].split(";")[0]) == (0, "0 events")
    assert run(capsys, "stats", data=tmp_path)[0] == 0


def test_a_damaged_row_ends_every_look_with_a_sentence(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Environment(data, writable=True, durable=False) as env, env.begin(write=True) as txn:
        txn.put(key(3), b"\xc1", db=env.tables[EVENTS])
    for arguments in (("tail",), ("show", "3"), ("stats",)):
        status, _, err = run(capsys, *arguments, data=data)
        assert (status, err) == (1, "sinogram: event 3 is not an envelope\n")
    assert run(capsys, "verify", data=data)[0] == 2
