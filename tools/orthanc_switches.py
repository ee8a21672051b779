"""Orthanc's command line (`Orthanc --help` of 1.12.7) beside our own: what works here, and what is refused with a sentence."""

import argparse
from typing import Any, Final

# What Orthanc writes about itself and this server cannot write, with where to find the same.
REFUSED: Final = {
    "--config": "docs/configuration.md lists every option with its default; a configuration may be empty",
    "--errors": "the codes of errors are Orthanc's own",
    "--openapi": "the REST API is Orthanc's own, whose OpenAPI document holds",
    "--cheatsheet": "the REST API is Orthanc's own, whose cheat sheet holds",
}


class _Refuse(argparse.Action):
    """Ends the command with status 2 and the reason."""

    def __call__(self, parser: argparse.ArgumentParser, _options: Any, _value: Any, option: str | None = None) -> None:
        parser.error(f"{option} is a switch of Orthanc that this server does not have: {REFUSED[option or '']}")


def add_switches(parser: argparse.ArgumentParser) -> None:
    """Add to `serve` what Orthanc has and we have under another name, or not at all."""
    parser.add_argument(
        "--no-jobs", action="store_true", help="cancel and forget the jobs that the last run left, at this start"
    )
    parser.add_argument("--logdir", metavar="DIR", help="log to the file sinogram.log in this folder")
    parser.add_argument(
        "--upgrade",
        action="store_true",
        help="for those who are used to it: an older index is always brought up to date",
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    for switch in REFUSED:
        wants_value = switch != "--errors"
        parser.add_argument(switch, action=_Refuse, nargs=None if wants_value else 0, help=argparse.SUPPRESS)
