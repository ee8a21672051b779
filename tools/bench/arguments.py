"""The options of `sinogram bench`; what measures is imported when it runs."""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from events.errors import InvalidRequest

if TYPE_CHECKING:
    from tools.bench.ingest import Scenario, Supply
    from tools.bench.results import Run
    from tools.bench.samples import Samples
    from tools.bench.scripting import Program
    from tools.bench.targets import Target

SCENARIO_NAMES = (
    "storescu", "storescu-nodelay", "storescu-4", "no-delay", "no-delay-4", "rest-1", "rest-5", "rest-1-expand",
    "stow-1", "stow-4", "no-delay-4-render",
)  # fmt: skip
_EPILOG = """
Two servers in one run, both started here with fresh archives:
  sinogram bench ingest --start orthanc=/usr/sbin/Orthanc --json ingest.json
An Orthanc that leaves Nagle's algorithm out, too:
  sinogram bench ingest --start "orthanc=env TCP_NODELAY=1 /usr/sbin/Orthanc"
An archive of ten million instances (14 GB), to be served with StorageDirectory and IndexDirectory there:
  sinogram bench fill --data many
A server that runs already:
  sinogram bench rest --no-own --target it=http://127.0.0.1:8042,dicom=127.0.0.1:4242,aet=ORTHANC,pid=1234
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options of `sinogram bench` and say what runs them."""
    parser.epilog, parser.formatter_class = _EPILOG, argparse.RawDescriptionHelpFormatter
    kinds = parser.add_subparsers(metavar="WHAT", required=True)
    ingest = kinds.add_parser("ingest", help="instances stored a second, in several ways of sending")
    ingest.add_argument(
        "--scenario", action="append", choices=SCENARIO_NAMES, metavar="NAME", help="only this one (repeat)"
    )
    ingest.add_argument("--files", type=Path, metavar="DIR", help="send these DICOM files; each is sent once")
    ingest.add_argument("--generate", type=int, default=200, metavar="N", help="files a scenario and round (200)")
    ingest.add_argument(
        "--size",
        choices=("mr", "phantom", "small"),
        default="mr",
        help="of generated files: 170 kB of noise (mr) or of an image that can be compressed (phantom), or 1 kB",
    )
    ingest.set_defaults(run=_ingest)
    rest = kinds.add_parser("rest", help="latency of requests that read")
    changes = kinds.add_parser("changes", help="latency of pages of /changes")
    metadata = kinds.add_parser("metadata", help="metadata set and read a second")
    for reader, run in ((rest, _rest), (changes, _changes), (metadata, _metadata)):
        reader.add_argument("--requests", type=int, default=1000, metavar="N", help="of each kind and round (1000)")
        reader.set_defaults(run=run)
    find = kinds.add_parser("find", help="latency of C-FIND over many studies")
    query = kinds.add_parser("query", help="latency of queries to a modality over many studies")
    search = kinds.add_parser("search", help="latency of /tools/find over many studies")
    web = kinds.add_parser("dicomweb", help="latency of searches of DICOMweb (QIDO-RS) over many studies")
    for asker, run in ((find, _find), (query, _query), (search, _search), (web, _dicomweb)):
        asker.add_argument("--requests", type=int, default=500, metavar="N", help="of each kind and round (500)")
        asker.add_argument("--studies", type=int, default=2000, metavar="N", help="store N studies first (2000)")
        asker.add_argument("--filled", action="store_true", help="these studies of this seed are stored already")
        asker.set_defaults(run=run)
        _add_servers(asker)
    for each, fill in ((ingest, 0), (rest, 2000), (changes, 2000), (metadata, 2000)):
        _add_servers(each)
        each.add_argument("--preload", type=int, default=fill, metavar="N", help=f"store N small files first ({fill})")
    scu = kinds.add_parser("scu", help="instances sent a second, and small jobs")
    scu.add_argument("--generate", type=int, default=300, metavar="N", help="instances of the study (300)")
    scu.add_argument("--size", choices=("mr", "small"), default="mr", help="of generated files: 170 kB (mr) or 1 kB")
    scu.add_argument(
        "--to", action="append", default=[], metavar="NAME=COMMAND", help="start a server to be sent to (repeat)"
    )
    scu.set_defaults(run=_scu)
    _add_servers(scu)
    images = kinds.add_parser("images", help="pictures and pixels a second")
    images.add_argument("--requests", type=int, default=200, metavar="N", help="of each kind and round (200)")
    images.add_argument(
        "--slices", type=int, default=300, metavar="N", help="of the series that is asked for as a whole (300)"
    )
    images.set_defaults(run=_images)
    _add_servers(images)
    wado = kinds.add_parser("wado", help="metadata, frames and files a second over DICOMweb (WADO-RS)")
    wado.add_argument("--requests", type=int, default=300, metavar="N", help="for frames, of each kind and round (300)")
    wado.add_argument("--generate", type=int, default=1000, metavar="N", help="instances of each study (1000)")
    wado.add_argument(
        "--wait", type=int, default=0, metavar="S", help="after storing, for who makes metadata ahead (0)"
    )
    wado.set_defaults(run=_wado)
    _add_servers(wado)
    archive = kinds.add_parser("archive", help="a study as a ZIP archive, and what comes in meanwhile")
    archive.add_argument("--generate", type=int, default=3000, metavar="N", help="instances of the study (3000)")
    archive.add_argument(
        "--ingested", type=int, default=300, metavar="N", help="instances that come in, twice a round (300)"
    )
    archive.set_defaults(run=_archive)
    _add_servers(archive)
    lua = kinds.add_parser("lua", help="what Lua scripts cost: filters, callbacks of events, auto-routing")
    lua.add_argument("--generate", type=int, default=1000, metavar="N", help="instances a measurement (1000)")
    lua.add_argument("--size", choices=("mr", "small"), default="mr", help="of generated files: 170 kB (mr) or 1 kB")
    lua.set_defaults(run=_lua)
    _add_programs(lua)
    recycle = kinds.add_parser("recycle", help="what recycling costs those who store")
    recycle.add_argument("--generate", type=int, default=1000, metavar="N", help="patients a measurement (1000)")
    recycle.add_argument("--kept", type=int, default=50, metavar="N", help="MaximumPatientCount (50)")
    recycle.add_argument(
        "--size", choices=("mr", "small"), default="mr", help="of generated files: 170 kB (mr) or 1 kB"
    )
    recycle.set_defaults(run=_recycle)
    _add_programs(recycle)
    feed = kinds.add_parser("feed", help="what listeners of the feed cost those who store")
    feed.add_argument("--generate", type=int, default=5000, metavar="N", help="instances a measurement (5000)")
    feed.add_argument("--listeners", type=int, default=200, metavar="N", help="of /events (200)")
    feed.add_argument("--size", choices=("mr", "small"), default="mr", help="of generated files: 170 kB (mr) or 1 kB")
    feed.set_defaults(run=_feed, target=[])
    replay = kinds.add_parser("replay", help="instances replayed a second")
    replay.add_argument("--data", type=Path, metavar="DIR", help="this archive, which no server may have open")
    replay.add_argument("--generate", type=int, default=20_000, metavar="N", help="small files to store first (20000)")
    replay.set_defaults(run=_replay)
    filler = kinds.add_parser("fill", help="make an archive of many instances, without their files")
    filler.add_argument(
        "--data", type=Path, metavar="DIR", required=True, help="an empty folder; it becomes the archive"
    )
    for name, count in (("instances", 10_000_000), ("series", 500_000), ("studies", 200_000), ("patients", 100_000)):
        filler.add_argument(f"--{name}", type=int, default=count, metavar="N", help=f"so many ({count:,})")
    filler.add_argument("--unsettled", action="store_true", help="leave all of them waiting for StableAge")
    filler.set_defaults(run=_fill, rounds=1)
    flat = kinds.add_parser(
        "flat", help="whether large archives take longer than small ones: start, requests, deletion"
    )
    flat.add_argument(
        "--data", action="append", type=Path, metavar="DIR", required=True, help="an archive of `bench fill` (repeat)"
    )
    flat.add_argument("--requests", type=int, default=200, metavar="N", help="of each kind and round (200)")
    flat.set_defaults(run=_flat)
    for each in (
        ingest,
        rest,
        changes,
        metadata,
        find,
        query,
        search,
        web,
        scu,
        images,
        wado,
        archive,
        lua,
        recycle,
        feed,
        replay,
        filler,
        flat,
    ):
        _add_common(each)


def _add_servers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-own", action="store_true", help="do not start and measure a server of this program")
    for flag, form, says in (
        ("--start", "NAME=COMMAND", "start another server; COMMAND gets a configuration file"),
        ("--target", "NAME=URL[,KEY=VALUE…]", "a running server; keys: dicom, aet, user, pid"),
        ("--option", "SERVER.NAME=JSON", "an option of a server that is started: sinogram, or the name given"),
    ):
        parser.add_argument(flag, action="append", default=[], metavar=form, help=says + " (repeat)")


def _add_programs(parser: argparse.ArgumentParser) -> None:
    """Servers that are started for each measurement."""
    parser.add_argument("--no-own", action="store_true", help="do not measure this program")
    parser.add_argument(
        "--start", action="append", default=[], metavar="NAME=COMMAND", help="start another server, too (repeat)"
    )
    parser.set_defaults(target=[])


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="the servers take turns this often (3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write settings, runs and summary here")
    parser.add_argument("--seed", type=int, metavar="N", help="of generated files; the same seed, the same files")
    parser.add_argument(
        "--work", type=Path, metavar="DIR", help="where archives and files go (the system's temp folder)"
    )


def _ingest(options: argparse.Namespace) -> int:
    from tools.bench.ingest import SCENARIOS, ingest, preload

    usual = [name for name, scenario in SCENARIOS.items() if not scenario.is_extra]
    chosen = [SCENARIOS[name] for name in options.scenario or usual]
    supply, count = _supply(options, chosen)
    with _servers(options) as (targets, folder):
        runs = preload(targets, _samples(options, "small", salt=1), options.preload) if options.preload else []
        runs += ingest(targets, supply, scenarios=chosen, rounds=options.rounds, count=count, folder=folder)
    return _report("ingest", f"ingest: {count} files of {_size(options)} a run, {options.rounds} rounds", options, runs)


def _supply(options: argparse.Namespace, chosen: "list[Scenario]") -> "tuple[Supply, int]":
    from tools.bench.ingest import Folder

    if options.files is None:
        return _samples(options, options.size), options.generate
    folder = Folder(options.files)
    count = len(folder) // (options.rounds * len(chosen))
    if not count:
        raise InvalidRequest(f"{options.files} holds {len(folder)} DICOM files: too few for these rounds and scenarios")
    return folder, count


def _rest(options: argparse.Namespace) -> int:
    from tools.bench.reading import rest

    return _read(options, "rest", rest)


def _changes(options: argparse.Namespace) -> int:
    from tools.bench.reading import changes

    return _read(options, "changes", changes)


def _metadata(options: argparse.Namespace) -> int:
    from tools.bench.reading import metadata

    return _read(options, "metadata", metadata)


def _read(options: argparse.Namespace, kind: str, measure: Any) -> int:
    from tools.bench.ingest import preload

    with _servers(options) as (targets, _):
        fills = preload(targets, _samples(options, "small"), options.preload) if options.preload else []
        runs = measure(targets, rounds=options.rounds, count=options.requests)
    return _report(kind, f"{kind}: {options.requests} requests a run, {options.rounds} rounds", options, fills + runs)


def _find(options: argparse.Namespace) -> int:
    from tools.bench.finding import find

    return _over_studies(options, "find", find)


def _search(options: argparse.Namespace) -> int:
    from tools.bench.searching import search

    return _over_studies(options, "search", search)


def _dicomweb(options: argparse.Namespace) -> int:
    from tools.bench.web_searching import web_search

    def search(targets: Any, **measured: int) -> Any:
        return web_search(targets, seed=options.seed, **measured)

    return _over_studies(options, "dicomweb", search)


def _over_studies(options: argparse.Namespace, kind: str, measure: Any) -> int:
    from tools.bench.finding import StudySamples
    from tools.bench.ingest import preload

    _seed(options)
    with _servers(options) as (targets, _):
        samples = StudySamples(options.seed, "small")
        runs = [] if options.filled else preload(targets, samples, options.studies)
        runs += measure(targets, studies=options.studies, rounds=options.rounds, count=options.requests)
    return _report(kind, f"{kind}: {options.studies} studies, {options.rounds} rounds", options, runs)


def _scu(options: argparse.Namespace) -> int:
    from tools.bench.sending import send
    from tools.bench.targets import targets_for

    files = _samples(options, options.size).take(options.generate)
    with (
        _servers(options) as (targets, folder),
        targets_for((), options.to, folder / "to", own=False, may_be_none=True) as destinations,
    ):
        runs = send(targets, destinations, files, rounds=options.rounds)
    title = f"scu: {options.generate} files of {_size_of(options.size)}, {options.rounds} rounds"
    return _report("scu", title, options, runs)


def _images(options: argparse.Namespace) -> int:
    from tools.bench.images import images

    _seed(options)
    with _servers(options) as (targets, _):
        runs = images(targets, seed=options.seed, rounds=options.rounds, count=options.requests, slices=options.slices)
    title = f"images: {options.requests} requests a run, {options.slices} slices, {options.rounds} rounds"
    return _report("images", title, options, runs)


def _wado(options: argparse.Namespace) -> int:
    from tools.bench.web_retrieving import web_retrieve

    _seed(options)
    with _servers(options) as (targets, _):
        runs = web_retrieve(
            targets,
            seed=options.seed,
            instances=options.generate,
            rounds=options.rounds,
            count=options.requests,
            wait_s=options.wait,
        )
    title = f"wado: studies of {options.generate} instances, {options.requests} requests a run, {options.rounds} rounds"
    return _report("wado", title, options, runs)


def _archive(options: argparse.Namespace) -> int:
    from tools.bench.archiving import archive

    _seed(options)
    with _servers(options) as (targets, _):
        runs = archive(
            targets,
            seed=options.seed,
            rounds=options.rounds,
            instances=options.generate,
            ingested=options.ingested,
        )
    title = f"archive: {options.generate} instances, {options.rounds} rounds"
    return _report("archive", title, options, runs)


def _query(options: argparse.Namespace) -> int:
    from tools.bench.finding import StudySamples
    from tools.bench.ingest import preload
    from tools.bench.querying import query

    _seed(options)
    with _servers(options) as (targets, _):
        samples = StudySamples(options.seed, "small")
        runs = [] if options.filled else preload(targets[:1], samples, options.studies)
        runs += query(targets, studies=options.studies, rounds=options.rounds, count=options.requests)
    return _report("query", f"query: {options.studies} studies, {options.rounds} rounds", options, runs)


def _lua(options: argparse.Namespace) -> int:
    from tools.bench.scripting import measure_scripts

    programs = _programs(options)
    with _work_folder(options) as folder:
        supply = _samples(options, options.size)
        runs = list(measure_scripts(programs, supply, rounds=options.rounds, count=options.generate, folder=folder))
    title = f"lua: {options.generate} files of {_size_of(options.size)}, {options.rounds} rounds"
    return _report("lua", title, options, runs)


def _recycle(options: argparse.Namespace) -> int:
    from tools.bench.finding import StudySamples
    from tools.bench.recycling import recycle

    programs = _programs(options)
    _seed(options)
    with _work_folder(options) as folder:
        supply = StudySamples(options.seed, options.size)
        runs = recycle(
            programs, supply, rounds=options.rounds, count=options.generate, kept=options.kept, folder=folder
        )
    title = f"recycle: {options.generate} patients of {_size_of(options.size)}, {options.kept} kept, {options.rounds} rounds"
    return _report("recycle", title, options, runs)


def _feed(options: argparse.Namespace) -> int:
    from tools.bench.feeding import feed, kept

    with _work_folder(options) as folder:
        supply = _samples(options, options.size)
        runs = feed(supply, listeners=options.listeners, rounds=options.rounds, count=options.generate, folder=folder)
    title = f"feed: {options.generate} files of {_size_of(options.size)}, {options.rounds} rounds"
    status = _report("feed", title, options, runs)
    print(f"with {options.listeners} listeners, ingest keeps {kept(runs):.2f} of its rate")
    return status


def _programs(options: argparse.Namespace) -> "list[Program]":
    """Raises InvalidRequest."""
    from tools.bench.scripting import Program
    from tools.bench.targets import OWN_COMMAND, OWN_NAME, parse_command

    programs = [] if options.no_own else [Program(OWN_NAME, OWN_COMMAND, is_own=True)]
    programs += [Program(*parse_command(text), is_own=False) for text in options.start]
    if not programs:
        raise InvalidRequest("there is no server to measure")
    return programs


def _replay(options: argparse.Namespace) -> int:
    from tools.bench.replaying import make_archive, replay

    with _work_folder(options) as folder:
        data = options.data or make_archive(folder, _samples(options, "small"), options.generate)
        runs = replay(data, rounds=options.rounds)
    return _report("replay", f"replay: {runs[0].count} instances", options, runs)


def _fill(options: argparse.Namespace) -> int:
    from tools.bench.filling import Shape, fill

    _seed(options)
    shape = Shape(
        patients=options.patients,
        studies=options.studies,
        series=options.series,
        instances=options.instances,
        seed=options.seed,
    )
    run = fill(options.data, shape, settled=not options.unsettled)
    return _report("fill", f"fill: {options.data}", options, [run])


def _flat(options: argparse.Namespace) -> int:
    from tools.bench.flatness import flat

    _seed(options)
    with _work_folder(options) as folder:
        runs = flat(options.data, folder, rounds=options.rounds, count=options.requests, seed=options.seed)
    return _report("flat", f"flat: {options.requests} requests a run, {options.rounds} rounds", options, runs)


def _samples(options: argparse.Namespace, size: str, salt: int = 0) -> "Samples":
    from tools.bench.samples import Samples

    _seed(options)
    return Samples((options.seed * 10 + salt) % 10**10, size)


def _seed(options: argparse.Namespace) -> None:
    if options.seed is None:
        options.seed = int(time.time()) % 10**9


def _size(options: argparse.Namespace) -> str:
    return f"{options.files}" if options.files else _size_of(options.size)


def _size_of(size: str) -> str:
    return {"mr": "170 kB", "phantom": "170 kB", "small": "1 kB"}[size]


@contextmanager
def _work_folder(options: argparse.Namespace) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sinogram-bench-", dir=options.work) as folder:
        yield Path(folder)


@contextmanager
def _servers(options: argparse.Namespace) -> "Iterator[tuple[list[Target], Path]]":
    from tools.bench.targets import targets_for

    own = not options.no_own
    with (
        _work_folder(options) as folder,
        targets_for(options.target, options.start, folder, own=own, options=options.option) as targets,
    ):
        yield targets, folder


def _report(kind: str, title: str, options: argparse.Namespace, runs: "list[Run]") -> int:
    from tools.bench.results import print_table, write_json

    print_table(title, runs)
    if options.json:
        settings = {name: value for name, value in vars(options).items() if name not in {"run", "target", "json"}}
        settings["target"] = [text.partition(",user=")[0] for text in getattr(options, "target", ())]  # no passwords
        write_json(options.json, kind, json.loads(json.dumps(settings, default=str)), runs)
    return 1 if any(run.failures for run in runs) else 0
