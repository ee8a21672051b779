"""The command `sinogram`. Each subcommand imports what it runs only when it runs, so that `--help` answers at once.

Exit status: 0 done; 1 it failed, as said on standard error; 2 wrong usage, configuration or medium (a service manager
should not try again); 70 the server's core died; 130 interrupted; 141 the reader of the output has gone.
"""

import argparse
import gc
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from events.errors import BadConfiguration, BadMedium, SinogramError
from tools.orthanc_switches import add_switches
from tools.server.signals import open_standard_descriptors

if TYPE_CHECKING:
    from tools.rest_reader import RestReader
    from tools.server_address import ServerAddress

FAILED: Final = 1
REFUSED: Final = 2
INTERRUPTED: Final = 130
READER_GONE: Final = 141
LOG_CATEGORIES: Final = ("generic", "plugins", "http", "sqlite", "dicom", "jobs", "lua")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; `arguments` without the program's name."""
    open_standard_descriptors()
    options = _parser().parse_args(arguments)
    try:
        status = int(options.run(options))
        sys.stdout.flush()
    except (BadConfiguration, BadMedium) as exc:
        print(f"sinogram: {exc}", file=sys.stderr)
        return REFUSED
    except (SinogramError, OSError) as exc:
        if isinstance(exc, BrokenPipeError) and options.run is not _serve:  # `head` has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what is still to be flushed at the end
            return READER_GONE
        print(f"sinogram: {exc}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("sinogram", description="A DICOM server on an event log; speaks Orthanc's API.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_serve(commands.add_parser("serve", help="run the server"))
    _add_log(commands.add_parser("log", help="look at the event log of an archive"))
    _add_replay(commands.add_parser("replay", help="rebuild every read model from the log"))
    _add_fsck(
        commands.add_parser("fsck", help="check that every instance has its file, whole, and every file its instance")
    )
    _add_import(commands.add_parser("import", help="send files and folders to a running server"))
    _add_jobs(commands.add_parser("jobs", help="see what a running server works on"))
    _add_lua(commands.add_parser("lua", help="try Lua scripts"))
    bench = commands.add_parser("bench", help="measure this server, or several servers side by side")
    _add_bench(bench)
    version = commands.add_parser("version", help="print the version")
    version.set_defaults(run=_version)
    return parser


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("configuration", nargs="*", type=Path, metavar="CONFIG", help="configuration file or folder")
    parser.add_argument("--single-process", action="store_true", help="run everything in one process, to test or debug")
    parser.add_argument("--verbose", action="store_true", help="be verbose in logs")
    parser.add_argument("--trace", action="store_true", help="be most verbose in logs")
    parser.add_argument("--logfile", type=Path, metavar="FILE", help="log to this file instead of standard error")
    add_switches(parser)
    for category in LOG_CATEGORIES:
        for level in ("verbose", "trace"):
            flag = f"--{level}-{category}"
            parser.add_argument(flag, dest=f"{level}_{category}", action="store_true", help=argparse.SUPPRESS)
    parser.epilog = f"--verbose-X and --trace-X raise the level of one category: {', '.join(LOG_CATEGORIES)}"
    parser.set_defaults(run=_serve)


def _serve(options: argparse.Namespace) -> int:
    if options.version:
        return _version(options)
    gc.disable()  # until all is loaded: it would look at what stays (0.16 of 0.9 s of a single process, and 0.2 s more in the end)
    from tools.configuration import load
    from tools.server.composition import server_settings
    from tools.server.logging_setup import LogOptions, configure
    from tools.server.serve import serve

    if options.logdir and options.logfile:
        raise BadConfiguration("--logdir and --logfile contradict each other")
    logfile = Path(options.logdir, "sinogram.log") if options.logdir else options.logfile
    raised = {c: "verbose" for c in LOG_CATEGORIES if getattr(options, f"verbose_{c}")}
    raised |= {c: "trace" for c in LOG_CATEGORIES if getattr(options, f"trace_{c}")}
    level = "trace" if options.trace else "verbose" if options.verbose else "default"
    log = LogOptions(level=level, categories=raised, file=logfile)
    configuration = load(options.configuration)
    configure(log, "sinogram")
    for warning in configuration.warnings:
        logging.getLogger(__name__).warning("configuration: %s", warning)
    settings = server_settings(configuration, log)
    if options.no_jobs:
        jobs = replace(settings.core.jobs, save_jobs=False)
        settings = replace(settings, core=replace(settings.core, jobs=jobs))
    return serve(settings, single_process=options.single_process)


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the archive's IndexDirectory")


def _add_log(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    tail = actions.add_parser("tail", help="print the last events")
    tail.add_argument("-n", "--count", type=_positive, default=20, help="how many (20)")
    tail.add_argument("-f", "--follow", action="store_true", help="go on as events come")
    show = actions.add_parser("show", help="print one event with its envelope")
    show.add_argument("seq", type=_positive, metavar="SEQ")
    for parser_with_names in (tail, show):
        parser_with_names.add_argument("--personal", action="store_true", help="show what identifies patients too")
    stats = actions.add_parser("stats", help="count events and bytes by type")
    verify = actions.add_parser("verify", help="check the hash chain from the first event to the last")
    for action, run in ((tail, _log_tail), (show, _log_show), (stats, _log_stats), (verify, _log_verify)):
        _add_data(action)
        action.set_defaults(run=run)


def _log_tail(options: argparse.Namespace) -> int:
    from tools import log

    return log.tail(options.data, count=options.count, follow=options.follow, personal=options.personal)


def _log_show(options: argparse.Namespace) -> int:
    from tools import log

    return log.show(options.data, options.seq, personal=options.personal)


def _log_stats(options: argparse.Namespace) -> int:
    from tools import log

    return log.stats(options.data)


def _log_verify(options: argparse.Namespace) -> int:
    from tools import log

    return log.verify(options.data)


def _add_replay(parser: argparse.ArgumentParser) -> None:
    _add_data(parser)
    parser.add_argument("--verify", action="store_true", help="compare with the live read models, byte for byte")
    parser.add_argument("--until", type=_positive, metavar="SEQ", help="stop after this event")
    parser.add_argument("--into", type=Path, metavar="NEW", help="build a new index in this folder, with the log in it")
    parser.set_defaults(run=_replay)


def _replay(options: argparse.Namespace) -> int:
    from tools.replay import replay

    return replay(options.data, verify=options.verify, until=options.until, into=options.into)


def _add_fsck(parser: argparse.ArgumentParser) -> None:
    _add_data(parser)
    parser.add_argument("--storage", type=Path, metavar="DIR", help="the StorageDirectory, if it is another folder")
    parser.add_argument("--quick", action="store_true", help="compare sizes alone, no digests")
    parser.epilog = (
        "Changes nothing, stopped server or running. Exit status: 0 all is well, 1 something was found, "
        "2 the index itself is damaged."
    )
    parser.set_defaults(run=_fsck)


def _fsck(options: argparse.Namespace) -> int:
    from tools.fsck import fsck

    return fsck(options.data, options.storage, digests=not options.quick)


def _add_import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="DICOM file, ZIP, or folder of them")
    _add_server(parser)
    parser.add_argument("-j", "--in-flight", type=_positive, default=4, metavar="N", help="uploads at once (4)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.set_defaults(run=_import)


def _import(options: argparse.Namespace) -> int:
    from tools.import_files import import_files

    return import_files(options.paths, server=_server(options), in_flight=options.in_flight, progress=not options.quiet)


def _add_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", help="the server (http://127.0.0.1:8042)")
    parser.add_argument("--user", metavar="NAME[:PASSWORD]", help="asks for the password if it is not given")
    parser.add_argument(
        "--config", action="append", default=[], type=Path, metavar="CONFIG",
        help="take address, port, user and certificate from the server's configuration; repeatable",
    )  # fmt: skip
    parser.add_argument("--certificate", type=Path, metavar="FILE", help="the certificate to know the server by (PEM)")


def _server(options: argparse.Namespace) -> "ServerAddress":
    from tools.import_files import parse_user
    from tools.server_address import read_address

    return read_address(options.config, options.url, parse_user(options.user), options.certificate)


def _add_jobs(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="print all jobs, the oldest first")
    watching = actions.add_parser("watch", help="show the progress of jobs until interrupted")
    watching.add_argument("--until-done", action="store_true", help="end when none goes on; status 1 if one failed")
    watching.add_argument("--interval", type=_seconds, default=1.0, metavar="SECONDS", help="between two looks (1)")
    showing = actions.add_parser("show", help="print one job and what has happened to it")
    showing.add_argument("id", metavar="ID")
    for action, run in ((listing, _jobs_list), (watching, _jobs_watch), (showing, _jobs_show)):
        _add_server(action)
        action.add_argument("--json", action="store_true", help="print JSON")
        action.set_defaults(run=run)


def _jobs_list(options: argparse.Namespace) -> int:
    from tools.jobs_cli import list_jobs

    return list_jobs(_reader(options), as_json=options.json)


def _jobs_watch(options: argparse.Namespace) -> int:
    from tools.jobs_cli import watch

    done, interval_s = options.until_done, options.interval
    return watch(_reader(options), as_json=options.json, until_done=done, interval_s=interval_s)


def _jobs_show(options: argparse.Namespace) -> int:
    from tools.jobs_cli import show_job

    return show_job(_reader(options), options.id, as_json=options.json)


def _reader(options: argparse.Namespace) -> "RestReader":
    from tools.rest_reader import RestReader

    return RestReader(_server(options))


def _add_lua(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    replaying = actions.add_parser("replay", help="print what scripts would have done with past events")
    replaying.add_argument("configuration", nargs="*", type=Path, metavar="CONFIG", help="the server's configuration")
    replaying.add_argument(
        "--script", action="append", required=True, type=Path, metavar="FILE", help="instead of LuaScripts; repeatable"
    )
    replaying.add_argument("--since", type=_positive, required=True, metavar="SEQ", help="begin with this event")
    replaying.add_argument("--until", type=_positive, metavar="SEQ", help="stop after this event")
    replaying.set_defaults(run=_lua_replay)


def _lua_replay(options: argparse.Namespace) -> int:
    from tools.configuration import load
    from tools.lua_replay import replay_scripts
    from tools.server.composition import server_settings
    from tools.server.logging_setup import LogOptions

    settings = server_settings(load(options.configuration), LogOptions())
    return replay_scripts(settings, options.script, since=options.since, until=options.until)


def _add_bench(parser: argparse.ArgumentParser) -> None:
    """Its options stand beside what they steer; a light import, the measuring parts come when it runs."""
    from tools.bench.arguments import add_arguments

    add_arguments(parser)


def _version(_: argparse.Namespace) -> int:
    from importlib.metadata import version

    from api.rest.settings import ORTHANC_VERSION

    print(f"sinogram {version('sinogram')} (REST API of Orthanc {ORTHANC_VERSION})")
    return 0


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.01 <= value <= 3600:
        raise argparse.ArgumentTypeError("must be 0.01 to 3600")
    return value


def _positive(text: str) -> int:
    value = int(text) if text.isdecimal() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, 1 or more, not '{text}'")
    return value
