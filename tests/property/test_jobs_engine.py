"""Random commands, workers that fail and die, crashes and restarts: the engine does what a plain model says.

Index and scheduler are the real ones, on a real environment; what each of them takes up next is the machine's choice,
so that news is late and words cross. Held after every move: no job is lost, none is run twice at once, none is in a
state that its history does not explain, no step is done twice unless its run ended during it; and whenever all
goes well for a while, every job ends.
"""

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.core.jobs.dispatch import KILL_AFTER_S
from actors.messages.commands.command import Command
from actors.messages.commands.jobs import ControlJob, DropJobOutput, TrimJobs
from actors.messages.job_retries import LONGEST_DELAY_S
from actors.messages.scheduler import AwaitEnd
from events import envelope
from events.errors import SinogramError, StorageFull
from events.identifiers import Ref
from store.environment import Environment
from store.log import read_rows
from store.projections import ALL_TABLES
from store.projections.job_rows import JobState, unpack_output, unpack_progress
from store.tables import BLOBS, CONDEMNED, JOB_OUTPUTS, JOBS_COMPLETED, U64, job_output_key
from store.views.jobs import find_job, list_failures, list_jobs
from tests.clock import Clock
from tests.engine_stage import EngineStage
from tests.examples import examples
from tests.job_stage import job_id, output_command, submit_command
from tests.job_workers import Effect, Process, Slot, Workplace
from tests.jobs_model import HISTORY, JobsModel
from tools.replay import differences, rebuild

CONCURRENT_JOBS, HISTORY_SIZE = 2, 3
SLOTS = (2, 1)  # of the two worker processes: one more than may be used
SUSPECT = 2  # crashes
NUMBERS = st.integers(1, 8)
WORDS = st.sampled_from(
    [
        *((word,) for word in ("pause", "resume", "cancel", "resubmit", "forget")),
        ("pause", "resume"),
        ("cancel", "resubmit"),
        ("resume", "pause", "pause"),
        ("cancel", "resubmit", "pause", "resume"),
    ]
)
PATIENCE = 2_000  # moves after which work that goes well is done


GO_ON = st.sampled_from(["settle", "settle", "settle", "commit", "deliver", "nothing"])
submissions = st.fixed_dictionaries(
    {
        "number": NUMBERS,
        "steps": st.sampled_from([3, 0, 1, 2, 5]),
        "priority": st.sampled_from([0, 0, -1, 5]),
        "attempts": st.integers(1, 3),
        "step_timeout_s": st.sampled_from([0, 10]),
    }
)


FREEING = (DropJobOutput, TrimJobs)  # may still be done when the disk is full


class JobsMachine(RuleBasedStateMachine, Workplace):
    """The engine against the model."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name)
        for name in ("live", "fresh"):
            (path / name).mkdir()
        self.fresh = Environment(path / "fresh", writable=True, durable=False)
        self.clock = Clock()
        self.engine = EngineStage(path / "live", self.clock, concurrent_jobs=CONCURRENT_JOBS, history_size=HISTORY_SIZE)
        self.engine.on_commit = self.compare_commit
        self.model = JobsModel(self.clock, self.engine.core.stage.index._log.head.seq)
        self.seen = self.model.head  # the log was compared up to here
        self.states: dict[int, JobState | None] = {}  # as the log alone tells them
        self.reached: dict[tuple[Ref, int], int] = {}  # job, life -> its furthest effect
        self.waiters: dict[int, list[bytes]] = {}  # job -> what was replied to those who wait for its end
        self.files: dict[tuple[Ref | None, int], int] = {}  # job, run -> the file it made last
        self.places = 0
        self.incarnations = 0
        self.processes: list[Process] = []

    @initialize()
    def workers_come(self) -> None:
        self.processes = [self.new_process(number) for number in range(len(SLOTS))]

    def new_process(self, number: int) -> Process:
        self.incarnations += 1
        return Process(f"worker-{number + 1}/{self.incarnations}", SLOTS[number], self.engine, self)

    @property
    def slots(self) -> list[Slot]:
        return [slot for process in self.processes for slot in process.slots]

    @property
    def busy(self) -> list[Slot]:
        return [slot for slot in self.slots if slot.job is not None]

    # -- clients ----------------------------------------------------------------------------------------------------------

    @rule(wanted=st.lists(submissions, min_size=1, max_size=4), then=GO_ON)
    def submit(self, wanted: list[dict[str, Any]], then: str) -> None:
        """Perhaps a second time, because the reply to the first was lost."""
        for options in wanted:
            self.send(submit_command(**options))
        self.go_on(then)

    @rule(data=st.data(), words=WORDS, then=GO_ON)
    def control(self, data: st.DataObject, words: tuple[str, ...], then: str) -> None:
        """Mostly a job that is there."""
        known = [job.id for job in self.model.jobs.values()]
        name = data.draw(st.sampled_from([*known, job_id(data.draw(NUMBERS))]))
        for word in words:
            self.send(ControlJob(id=name, word=word, correlation=b""))
        self.go_on(then)

    @rule(number=NUMBERS, then=GO_ON)
    def drop_output(self, number: int, then: str) -> None:
        self.send(DropJobOutput(id=job_id(number), key="archive", correlation=b""))
        self.go_on(then)

    @precondition(lambda self: self.model.jobs)
    @rule(data=st.data(), then=GO_ON)
    def wait(self, data: st.DataObject, then: str) -> None:
        ref = data.draw(st.sampled_from(sorted(self.model.jobs)))
        replies = self.waiters.setdefault(ref, [])

        def take(row: Any, error: SinogramError | None) -> None:
            if error is None:
                replies.append(row)

        self.engine.core.door.on_request(AwaitEnd(ref), take)
        self.go_on(then)

    def send(self, command: Command) -> None:
        self.engine.submit(command, lambda _result, _error: None)

    # -- the actors -------------------------------------------------------------------------------------------------------

    def go_on(self, how: str) -> None:
        """Let the actors deal with what waits, or with a part of it."""
        match how:
            case "commit":
                self.engine.commit()
            case "deliver":
                self.engine.deliver()
            case "settle":
                self.engine.settle()
        self.end_killed()

    @rule(how=st.lists(GO_ON, min_size=1, max_size=5))
    def actors_go_on(self, how: list[str]) -> None:
        for one in how:
            self.go_on(one)

    # -- workers ----------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.busy)
    @rule(data=st.data(), moves=st.integers(1, 6), code=st.sampled_from([0, 0, 17]), then=GO_ON)
    def work(self, data: st.DataObject, moves: int, code: int, then: str) -> None:
        """A slot does the next things; `code` is of an error that its job passes over."""
        slot = data.draw(st.sampled_from(self.busy))
        for _ in range(moves):
            slot.move(code)
            self.go_on(then)

    @precondition(lambda self: self.busy)
    @rule(moves=st.integers(1, 4), then=GO_ON)
    def all_work(self, moves: int, then: str) -> None:
        for _ in range(moves):
            for slot in self.busy:
                slot.move()
            self.go_on(then)

    @precondition(lambda self: self.busy)
    @rule(data=st.data(), trouble=st.sampled_from(["unreachable", "busy", "final"]), then=GO_ON)
    def fail(self, data: st.DataObject, trouble: str, then: str) -> None:
        data.draw(st.sampled_from(self.busy)).fail(trouble)
        self.go_on(then)

    @precondition(lambda self: self.busy)
    @rule(data=st.data(), is_again=st.booleans(), then=GO_ON)
    def add_output(self, data: st.DataObject, is_again: bool, then: str) -> None:
        """Perhaps the same one, because the reply was lost."""
        slot = data.draw(st.sampled_from(self.busy))
        if not is_again or (slot.job, slot.run) not in self.files:
            self.places += 1
            self.files[slot.job, slot.run] = self.places
        self.send(output_command(slot.job or Ref(0), run=slot.run, place=self.files[slot.job, slot.run]))
        self.go_on(then)

    @rule(number=st.integers(0, len(SLOTS) - 1), times=st.integers(1, 3), then=GO_ON)
    def worker_dies(self, number: int, times: int, then: str) -> None:
        """The bridge notices at once, the scheduler when it comes to it; a successor is there before."""
        for _ in range(times):
            self.replace(number)
            self.go_on(then)

    @precondition(lambda self: self.busy)
    @rule(data=st.data(), words=st.sampled_from([("cancel",), ("cancel", "resubmit"), ("cancel", "forget")]))
    def a_worker_does_not_let_go(self, data: st.DataObject, words: tuple[str, ...]) -> None:
        """Its step hangs beyond all interruption: the process is killed."""
        slot = data.draw(st.sampled_from(self.busy))
        job = self.model.jobs.get(slot.job or 0)
        for word in words if job is not None else ():
            self.send(ControlJob(id=job.id, word=word, correlation=b""))  # type: ignore[union-attr]  # it is there
        self.engine.settle()
        was_told = slot.is_broken_off
        self.clock.advance(KILL_AFTER_S)
        self.engine.ring()
        self.engine.settle()
        if was_told:
            assert slot.name.rpartition("#")[0] in self.engine.killed
        self.end_killed()
        self.engine.settle()

    def replace(self, number: int) -> None:
        dead = self.processes[number]
        dead.die()
        self.engine.core.door.on_gone(dead.name)
        self.processes[number] = self.new_process(number)

    def end_killed(self) -> None:
        """Carry out what the scheduler asked for: a process does not let go of a job."""
        for name in self.engine.killed:
            for number, process in enumerate(self.processes):
                if process.name == name:
                    told = [slot for slot in process.slots if slot.is_broken_off or slot.waits_for_reply]
                    assert told, "nobody is killed who could not know better"
                    self.replace(number)
        self.engine.killed.clear()

    # -- the server -------------------------------------------------------------------------------------------------------

    @rule(times=st.integers(1, 3), then=GO_ON)
    def crash(self, times: int, then: str) -> None:
        """All processes at once; what was not committed is lost, with all news and requests under way."""
        for _ in range(times):
            for process in self.processes:
                process.die()
            self.start_anew(was_clean=False)
            self.go_on(then)

    @precondition(lambda self: not self.engine.is_full)
    @rule(save_jobs=st.sampled_from([True, True, True, False]))
    def stop_and_start(self, save_jobs: bool) -> None:
        for slot in self.slots:
            slot.stop()
        self.engine.settle()
        while self.busy:
            for slot in self.busy:
                slot.move()
            self.engine.settle()
        for process in self.processes:
            process.die()
        running = [job for job in self.model.jobs.values() if job.state is JobState.Running]
        assert not running or self.engine.core.scheduler._refused, "each was given back, unless the disk was full"
        self.start_anew(save_jobs=save_jobs, was_clean=True)
        if not save_jobs:
            self.engine.settle()
            assert not self.model.jobs

    def start_anew(self, *, save_jobs: bool = True, was_clean: bool) -> None:
        self.waiters.clear()
        self.engine.restart(save_jobs=save_jobs, was_clean=was_clean)
        self.workers_come()

    @rule(seconds=st.sampled_from([0.5, 3, 40]), then=GO_ON)
    def time_passes(self, seconds: float, then: str) -> None:
        """Perhaps while a slot hangs in its step."""
        self.clock.advance(seconds)
        self.engine.ring()
        self.go_on(then)

    @rule(is_full=st.booleans(), then=GO_ON)
    def the_disk_fills_up(self, is_full: bool, then: str) -> None:
        """Or somebody makes room."""
        self.engine.is_full = is_full
        self.go_on(then)

    @rule()
    def somebody_sets_the_clock_back(self) -> None:
        self.clock.set_by_a_day(-1)

    @rule()
    def all_goes_well(self) -> None:
        """Workers work, time passes, there is room: whatever is not paused comes to its end."""
        self.engine.is_full = False
        for _ in range(PATIENCE):
            self.engine.settle()
            self.end_killed()
            if all(job.state is JobState.Paused for job in self.model.unfinished()) and not self.busy:
                break
            moving = [slot for slot in self.busy if slot.can_move]
            for slot in moving:
                slot.move()
            if not moving:
                due = self.engine.core.alarm.due
                assert due is not None, "nobody works, and nobody will"
                pause_s = due - self.clock.monotonic()
                assert pause_s <= LONGEST_DELAY_S, "nobody waits longer, wherever the clock was set to"
                self.clock.advance(max(pause_s, 0.0))
                self.engine.ring()
        else:
            raise AssertionError(f"there is no end: {self.model.unfinished()}")
        assert all(slot.is_idle for slot in self.slots)
        self.engine.settle()
        completed = [job for job in self.model.jobs.values() if job.completion]
        assert len(completed) <= HISTORY_SIZE
        self.all_who_waited_have_heard()

    def all_who_waited_have_heard(self) -> None:
        for ref, replies in self.waiters.items():
            job = self.model.jobs.get(ref)
            if job is None or job.state in (JobState.Success, JobState.Failure):
                assert replies or job is None
            assert all(unpack_progress(row).state.is_completed for row in replies)

    # -- what workers do --------------------------------------------------------------------------------------------------

    def on_taken(self, slot: Slot) -> None:
        """No job is in two hands; a suspect is alone."""
        others = [other for other in self.busy if other is not slot]
        assert slot.job not in [other.job for other in others]
        assert len(others) < CONCURRENT_JOBS
        together = [self.model.jobs.get(one.job or 0) for one in self.busy]
        if any(job is not None and job.crashes >= SUSPECT for job in together):
            assert not others

    def on_effect(self, effect: Effect) -> None:
        """A run goes on where the last one stopped; what may be done twice is the step in which that one ended."""
        job = self.model.jobs.get(effect.job)
        if job is None or effect.run not in job.lives:
            return
        life = job.lives[effect.run]
        before = self.reached.get((effect.job, life), -1)
        assert effect.step in (before, before + 1)
        self.reached[effect.job, life] = effect.step
        if life == job.life:
            assert effect.step >= job.position, "what is recorded is not done again"

    # -- what must hold ---------------------------------------------------------------------------------------------------

    def compare_commit(self, commands: list[Command], answers: list[Any]) -> None:
        """What a commit did is what the model does with its commands."""
        expected = []
        for command, answer in zip(commands, answers, strict=True):
            if self.engine.is_full and not isinstance(command, FREEING):
                assert answer is StorageFull, command
                continue
            before = {job.ref: (job.life, job.position) for job in self.model.jobs.values()}
            assert answer == self.model.execute(command), command
            expected += self.model.events
            for job in self.model.jobs.values():
                assert (job.life, job.position) >= before.get(job.ref, (0, 0)), "progress never goes back"
        assert self.read_log() == expected

    def read_log(self) -> list[tuple[str, int]]:
        """Return the new events, and follow each job's history by them alone."""
        with self.engine.env.begin() as txn:
            rows = read_rows(txn, self.engine.env.tables, self.seen, 1_000)
        found = []
        for seq, row, personal in rows:
            event: Any = envelope.decode_event(envelope.decode_record(seq, row), personal)
            name, ref = type(event).__name__, getattr(event, "job", seq)
            found.append((name, ref))
            self.states[ref] = HISTORY[self.states.get(ref), name]
            self.seen = seq
        return found

    @invariant()
    def every_job_is_there_as_predicted(self) -> None:
        with self.engine.core.stage.views.snapshot() as snapshot:
            stored = {job.ref: job for job in list_jobs(snapshot)}
            assert sorted(stored) == sorted(self.model.jobs)
            for ref, job in self.model.jobs.items():
                assert stored[Ref(ref)].progress == job.progress()
                assert find_job(snapshot, job.id) == stored[Ref(ref)]
                assert dict(list_failures(snapshot, Ref(ref))) == job.failures
                assert self.states[ref] is job.state
            gone = [find_job(snapshot, name) for name, ref in self.model.submitted.items() if ref not in stored]
            assert gone == [None] * len(gone)
            completed = [U64.unpack(row_key[8:])[0] for row_key in snapshot.keys(JOBS_COMPLETED, b"")]
        by_end = sorted((job for job in self.model.jobs.values() if job.completion), key=lambda job: job.completion)
        assert completed == [job.ref for job in by_end]

    @invariant()
    def no_file_is_forgotten(self) -> None:
        with self.engine.core.stage.views.snapshot() as snapshot:
            owned, condemned = set(snapshot.keys(BLOBS, b"")), set(snapshot.keys(CONDEMNED, b""))
            for job in self.model.jobs.values():
                for name, blob in job.outputs.items():
                    row = snapshot.row(JOB_OUTPUTS, job_output_key(Ref(job.ref), name))
                    assert row is not None
                    assert unpack_output(row).blob == blob
        assert owned == {blob for job in self.model.jobs.values() for blob in job.outputs.values()}
        assert condemned == self.model.condemned

    def teardown(self) -> None:
        self.replay_gives_the_same_bytes()
        self.engine.close()
        self.fresh.close()
        self.folder.cleanup()

    def replay_gives_the_same_bytes(self) -> None:
        with self.fresh.begin(write=True) as txn:
            for table in ALL_TABLES:
                txn.drop(self.fresh.tables[table], delete=False)
        with self.engine.env.begin() as live:
            rebuild(self.engine.env, live, self.fresh)
            with self.fresh.begin() as rebuilt:
                assert differences(live, self.engine.env.tables, rebuilt, self.fresh.tables) == {}


TestJobs = JobsMachine.TestCase
TestJobs.settings = settings(max_examples=examples(50), stateful_step_count=60, deadline=None)
