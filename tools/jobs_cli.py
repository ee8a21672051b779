"""`sinogram jobs`: the jobs of a running server, read by its REST API; works with Orthanc too, which has no events."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from events.errors import NotFound
from tools.rest_reader import RestReader

if TYPE_CHECKING:
    from rich.console import Console

UNFINISHED: Final = ("Pending", "Running", "Retry", "Paused")
ACTIVE: Final = UNFINISHED[:-1]  # these go on by themselves
EVENTS_PER_PAGE: Final = 1000
FILE_WIDTH: Final = 200  # of lines that go to no terminal: nothing is cut
COLUMNS: Final = ("ID", "Type", "State", "Progress", "Priority", "Age", "To")
STEP: Final = "job-step-finished/1"

Job = dict[str, Any]


def list_jobs(server: RestReader, *, as_json: bool) -> int:
    """Print all jobs, the oldest first."""
    from rich.table import Table

    jobs = sorted(server.get("jobs", query="expand"), key=lambda job: str(job["CreationTime"]))
    if as_json:
        _print_json(jobs)
        return 0
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in COLUMNS:
        table.add_column(name, no_wrap=True, justify="right" if name in {"Progress", "Priority", "Age"} else "left")
    for job in jobs:
        table.add_row(*map(_plain, _cells(job)))
    _console().print(table)
    return 0


def show_job(server: RestReader, name: str, *, as_json: bool) -> int:
    """Print the fields of a job and what has happened to it. Raises NotFound."""
    try:
        job = server.get("jobs", name)
    except NotFound as exc:
        raise NotFound(f"there is no job {name} at {server.url}") from exc
    events = list(_events(server, name))
    if as_json:
        _print_json({"Job": job, "Events": events})
        return 0
    for field, value in job.items():
        print(f"{field:<22} {_plain(value if isinstance(value, str) else json.dumps(value))}".rstrip())
    if events:
        print()
    for tag, same in groupby(events, key=lambda event: (event["Tag"], event["Values"].get("code", 0))):
        _print_events(tag[0], list(same))
    return 0


def _print_events(tag: str, events: list[dict[str, Any]]) -> None:
    """Print events one a line; of steps in a row that went alike, the last with their count."""
    if tag == STEP and len(events) > 1:
        print(f"{_moment(events[-1])}  {tag}  {len(events)} steps")
        return
    for event in events:
        values = {name: value for name, value in event["Values"].items() if name not in {"plan", "job", "id"}}
        print(f"{_moment(event)}  {tag}  {_plain(json.dumps(values)) if values else ''}".rstrip())


def _moment(event: dict[str, Any]) -> str:
    return datetime.fromtimestamp(event["AtMicroseconds"] / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _events(server: RestReader, name: str) -> Iterator[dict[str, Any]]:
    since = 0
    while True:
        try:
            page = server.get("jobs", name, "events", query=f"since={since}&limit={EVENTS_PER_PAGE}")
        except NotFound:  # an Orthanc, or the job was forgotten in between
            return
        yield from page["Events"]
        since = page["Last"]
        if page["Done"]:
            return


def watch(
    server: RestReader,
    *,
    as_json: bool,
    until_done: bool,
    interval_s: float = 1.0,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """Show how jobs go on until interrupted, or with `until_done` until none goes on by itself (paused ones do not).

    Returns 1 if a job failed during that, or was forgotten before its end was seen.
    """
    from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn

    console = _console()
    is_live = console.is_terminal and not as_json
    columns = TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn()
    bars: dict[str, TaskID] = {}
    has_failed = False
    with Progress(*columns, console=console, disable=not is_live) as progress:
        for job in _changes(server, until_done, lambda: pause(interval_s)):
            has_failed = has_failed or job["State"] in {"Failure", "Forgotten"}
            if not is_live:
                _print_change(job, as_json)
                continue
            name = job["ID"]
            if name not in bars:
                bars[name] = progress.add_task("", total=100)
            progress.update(bars[name], description=_describe(job), completed=job["Progress"])
    return 1 if has_failed else 0


def _changes(server: RestReader, until_done: bool, pause: Callable[[], None]) -> Iterator[Job]:
    """Yield each unfinished job, and again whenever its state or progress is another; at last as it ended."""
    known: dict[str, Job] = {}
    while True:
        listed = server.get("jobs", query="expand&state=" + ";".join(UNFINISHED))
        jobs = {job["ID"]: job for job in listed if job["State"] in UNFINISHED}  # an Orthanc lists them all
        for name, old in list(known.items()):
            if name not in jobs:
                yield _ended(server, old)
                del known[name]
        for name, job in jobs.items():
            old = known.get(name, {})
            if (old.get("State"), old.get("Progress")) != (job["State"], job["Progress"]):
                yield job
            known[name] = job
        if until_done and not any(job["State"] in ACTIVE for job in jobs.values()):
            return
        pause()


def _ended(server: RestReader, old: Job) -> Job:
    try:
        job: Job = server.get("jobs", old["ID"])
    except NotFound:  # JobsHistorySize
        return old | {"State": "Forgotten"}
    return job


def _print_change(job: Job, as_json: bool) -> None:
    print(json.dumps(job) if as_json else f"{_plain(job['ID'])}  {_describe(job)}  {job['Progress']}%", flush=True)


def _describe(job: Job) -> str:
    _, kind, state, _, _, _, there = _cells(job)
    why = f": {job['ErrorDetails'] or job['ErrorDescription']}" if state in {"Failure", "Retry"} else ""
    return _plain(f"{kind} {'to ' + there + ' ' if there else ''}{state}{why}")


def _cells(job: Job) -> tuple[str, ...]:
    content = job["Content"]
    there = content.get("TargetAet") or content.get("RemoteAet") or _address(content.get("Peer"))
    shown = job["ID"], job["Type"], job["State"], f"{job['Progress']} %", str(job["Priority"]), _age(job), str(there)
    return tuple(map(str, shown))


def _address(peer: object) -> str:
    """Return where a peer is, which a job shows in one of two forms; "" if it goes to none."""
    match peer:
        case [url, *_] | {"Url": url}:
            return str(url)
        case _:
            return ""


def _age(job: Job) -> str:
    """Return how old a job is by the server's own clock."""
    made, now = (datetime.strptime(job[key][:15] + "Z", "%Y%m%dT%H%M%S%z") for key in ("CreationTime", "Timestamp"))
    seconds = max(0, int((now - made).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def _plain(text: str) -> str:
    """Return text without what could steer a terminal: names and errors come from other machines."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=3))


def _console() -> "Console":
    from rich.console import Console

    console = Console(markup=False, highlight=False)
    return console if console.is_terminal else Console(markup=False, highlight=False, width=FILE_WIDTH)
