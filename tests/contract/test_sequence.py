"""The operation SequenceOfOperations, with the engine, the archive and a modality: what callbacks of scripts ask for."""

import os
from pathlib import Path

import pytest

from actors.messages.job_states import Word
from actors.services.lua.chain import JOB_TYPE, CallSystem, Delete, SendToModality, plan
from actors.services.lua.chain import Operation as Asked
from events.identifiers import Level, format_resource_id
from store.projections.job_rows import JobState
from tests.contract.destination import destination
from tests.contract.operations_stage import SUCCESS, Ended, Engine, modality, working
from tests.contract.retrieve_stage import fill, study
from tests.dicom_bytes import uid
from tests.scripts_stage import run_scripts
from tools.server.core import Core

NOWHERE = 1  # a port that nobody listens on


def ids(engine: Engine, level: Level = Level.INSTANCE) -> list[str]:
    with engine.core.views.snapshot() as snapshot:
        return [format_resource_id(resource) for resource in snapshot.list_ids(level)]


def send(resource: str, to: str = "there", local_aet: str = "") -> Asked:
    return SendToModality(resource=resource, modality=to, local_aet=local_aet)


def delete(resource: str) -> Asked:
    return Delete(resource=resource)


def call(resource: str, command: str, *arguments: str) -> Asked:
    return CallSystem(resource=resource, command=command, command_arguments=list(arguments))


def run(engine: Engine, *operations: Asked) -> Ended:
    return engine.run(JOB_TYPE, plan(list(operations)), len(operations) + 1)


def test_what_was_sent_is_deleted(archive: Core) -> None:
    fill(archive, *study(instances=2))
    with destination() as there, working(archive, [modality(there.port)]) as engine:
        first, second = ids(engine)
        assert run(engine, send(first), delete(first)) == SUCCESS
        assert ids(engine) == [second]
    assert there.instances == [uid(1, 1, 1, 2)]


@pytest.mark.parametrize("level", list(Level))
def test_a_resource_of_any_level_is_sent_with_all_its_instances(archive: Core, level: Level) -> None:
    fill(archive, *study(series=2, instances=2))
    with destination() as there, working(archive, [modality(there.port)]) as engine:
        assert run(engine, send(ids(engine, level)[0], local_aet="ME"), delete(ids(engine, level)[0])) == SUCCESS
        assert len(there.sent) == {Level.SERIES: 2, Level.INSTANCE: 1}.get(level, 4)
        assert len(ids(engine)) == 4 - len(there.sent)
    assert len(there.proposed) == 1


def test_all_that_goes_to_one_destination_goes_over_one_association(archive: Core) -> None:
    fill(archive, *study(instances=3))
    with destination() as there, destination() as other:
        both = [modality(there.port, "there"), modality(other.port, "other")]
        with working(archive, both) as engine:
            operations = [send(name, to) for name in ids(engine) for to in ("there", "other")]
            assert run(engine, *operations) == SUCCESS
    assert (len(there.sent), len(there.proposed), len(other.sent), len(other.proposed)) == (3, 1, 3, 1)


def test_two_titles_at_one_address_are_served_one_after_the_other(archive: Core) -> None:
    fill(archive, *study(instances=2))
    with destination() as there, working(archive, [modality(there.port)]) as engine:
        first, second = ids(engine)
        assert (
            run(engine, send(first, local_aet="A"), send(second, local_aet="B"), send(second, local_aet="A")) == SUCCESS
        )
    assert (len(there.sent), len(there.proposed)) == (3, 3)


def test_what_could_not_be_sent_is_not_deleted_and_the_rest_is_done(archive: Core) -> None:
    fill(archive, *study(instances=2))
    with destination() as there, working(archive, [modality(there.port), modality(NOWHERE, "nowhere")]) as engine:
        first, second = ids(engine)
        ended = run(engine, send(first, "nowhere"), delete(first), send(second), delete(second))
        assert ids(engine) == [first]
    assert len(there.sent) == 1
    assert (ended.state, ended.code) == (JobState.Failure, 9)
    assert ended.details.startswith("2 of 4 operations are not done; number 1, store-scu: ")


def test_what_is_refused_is_not_deleted(archive: Core) -> None:
    fill(archive, *study())
    with destination() as there, working(archive, [modality(there.port)]) as engine:
        there.on_store = lambda _event, _number: 0xC000
        (name,) = ids(engine)
        ended = run(engine, send(name), delete(name))
        assert ids(engine) == [name]
    assert len(there.sent) == 1
    assert (ended.state, ended.code) == (JobState.Failure, 9)


@pytest.mark.parametrize(("sent", "deleted"), [(Level.INSTANCE, Level.STUDY), (Level.PATIENT, Level.INSTANCE)])
def test_a_deletion_spares_what_a_part_of_was_not_sent(archive: Core, sent: Level, deleted: Level) -> None:
    fill(archive, *study(instances=2))
    with destination() as there, working(archive, [modality(there.port)]) as engine:
        there.on_store = lambda _event, _number: 0xC000
        ended = run(engine, send(ids(engine, sent)[0]), delete(ids(engine, deleted)[0]))
        assert len(ids(engine)) == 2
    assert ended.state is JobState.Failure


def test_what_comes_while_the_rest_is_sent_stays(archive: Core) -> None:
    early, late = study(instances=2), study(instances=3)[:1]
    fill(archive, *early)
    with destination() as there, working(archive, [modality(there.port)]) as engine:

        def on_store(_event: object, number: int) -> int:
            if number == 0:
                fill(archive, *late)
            return 0

        there.on_store = on_store
        (whole,) = ids(engine, Level.STUDY)
        assert run(engine, send(whole), delete(whole)) == SUCCESS
        assert len(ids(engine)) == 1
    assert len(there.sent) == 2


def test_what_came_again_after_the_job_was_made_stays(archive: Core) -> None:
    fill(archive, *study())
    with destination() as there, working(archive, [modality(there.port)]) as engine:
        (name,) = ids(engine)

        def on_store(_event: object, _number: int) -> int:
            archive.client.delete(Level.INSTANCE, engine.instances()[0])
            fill(archive, *study())
            return 0

        there.on_store = on_store
        assert run(engine, send(name), delete(name)) == SUCCESS
        assert ids(engine) == [name]


def test_what_is_gone_need_not_be_deleted_and_cannot_be_sent(archive: Core) -> None:
    fill(archive, *study(instances=2))
    with destination() as there, working(archive, [modality(there.port)]) as engine:
        first, second = ids(engine)
        assert run(engine, delete(first), delete(first), send(second)) == SUCCESS
        assert (run(engine, send(first)).code, run(engine, send("no identifier")).code) == (17, 17)


def test_a_modality_that_was_removed_meanwhile(archive: Core) -> None:
    fill(archive, *study())
    with working(archive) as engine:
        (name,) = ids(engine)
        ended = run(engine, send(name, "gone"), delete(name))
        assert (ended.code, ids(engine)) == (7, [name])


def test_a_script_keeps_an_instance_back(archive: Core) -> None:
    source = "function OutgoingCStoreInstanceFilter(dicom, to) return dicom.InstanceNumber ~= '1' end"
    fill(archive, *study(instances=2))
    with run_scripts(source) as scripts, destination() as there:
        with working(archive, [modality(there.port)], scripts.filters) as engine:
            first, second = ids(engine)
            assert run(engine, send(first), send(second), delete(first), delete(second)) == SUCCESS
            assert ids(engine) == []
        assert [values[1] for values in scripts.calls("OutgoingCStoreInstanceFilter")] == 2 * [
            {"RemoteIp": "127.0.0.1", "RemoteAet": "THERE"}
        ]
    assert there.instances == [uid(1, 1, 1, 2)]


def test_a_filter_that_fails_lets_nothing_go(archive: Core) -> None:
    source = "function OutgoingCStoreInstanceFilter() error('boom') end"
    fill(archive, *study())
    with (
        run_scripts(source) as scripts,
        destination() as there,
        working(archive, [modality(there.port)], scripts.filters) as engine,
    ):
        (name,) = ids(engine)
        ended = run(engine, send(name), delete(name))
        assert (ended.code, ids(engine)) == (2031, [name])
    assert not there.sent


def test_filters_are_asked_in_the_name_of_what_caused_the_job(archive: Core) -> None:
    cause = b"the/root"
    fill(archive, *study())
    with (
        run_scripts("function OutgoingCStoreInstanceFilter() return true end") as scripts,
        destination() as there,
        working(archive, [modality(there.port)], scripts.filters) as engine,
    ):
        operations = plan([send(ids(engine)[0])])
        ref, _ = engine.jobs.submit(JOB_TYPE, operations, steps=2, attempts=1, correlation=cause)
        engine.jobs.wait(ref)
        assert engine.store(there) == SUCCESS
    assert [asked.correlation == cause for asked in scripts.asked] == [True, False]


# --- commands ---


def test_a_command_is_given_the_file_of_each_instance(archive: Core, tmp_path: Path) -> None:
    files = study(instances=2)
    fill(archive, *files)
    seen = tmp_path / "seen"
    with working(archive) as engine:
        (whole,) = ids(engine, Level.SERIES)
        script = 'cat "$2" >> "$1"; echo "$2" >> "$1.names"; rm "$2"; cat'  # the last waits for the input's end
        assert run(engine, call(whole, "sh", "-c", script, "sh", str(seen)), delete(whole)) == SUCCESS
        assert ids(engine) == []
    assert seen.read_bytes() in {files[0] + files[1], files[1] + files[0]}
    names = (tmp_path / "seen.names").read_text().split()
    assert [Path(name).suffix for name in names] == [".dcm", ".dcm"]
    assert not any(Path(name).parent.exists() for name in names)


@pytest.mark.parametrize(
    ("command", "details"),
    [
        (("false",), "The command false has ended with exit status 1"),
        (("sh", "-c", "kill -9 $$"), "The command sh was killed by signal 9"),
        (("/no/such/command",), "The command /no/such/command cannot be run: [Errno 2] No such file or directory"),
        (("echo", "\0"), "The command echo cannot be run: embedded null byte"),
    ],
)
def test_a_command_that_fails_is_not_run_again(archive: Core, command: tuple[str, ...], details: str) -> None:
    fill(archive, *study())
    with working(archive) as engine:
        (name,) = ids(engine)
        ended = run(engine, call(name, *command), delete(name))
        assert ids(engine) == [name]
    assert (ended.state, ended.code) == (JobState.Failure, 10)
    assert details in ended.details


def test_a_command_ends_with_its_job(archive: Core, tmp_path: Path) -> None:
    fill(archive, *study())
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with working(archive) as engine:
        (name,) = ids(engine)
        operations = plan([call(name, "sh", "-c", f"sleep 600 > {pipe} & wait")])
        ref, job = engine.jobs.submit(JOB_TYPE, operations, steps=2, attempts=4)
        with pipe.open("rb") as started:  # once the command and its child have opened their end
            engine.jobs.control(job, Word.CANCEL)
            assert started.read() == b""  # both are dead
        assert engine.ended(ref).code == 37
