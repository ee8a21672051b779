"""Reads Prometheus' text format, strictly: what a line may be is written down here, and nothing else passes."""

import re
from dataclasses import dataclass, field

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
_SAMPLE = re.compile(
    rf"({_NAME})(?:\{{({_LABEL}(?:,{_LABEL})*)\}})? (-?[0-9]+(?:\.[0-9]+)?(?:e[+-][0-9]+)?)(?: ([0-9]{{13}}))?"
)
_ABOUT = re.compile(rf"# (HELP|TYPE) ({_NAME}) (.+)")
_KINDS = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


@dataclass
class Exposition:
    values: dict[str, float] = field(default_factory=dict)  # by name with labels, as they stand
    times_ms: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)


def parse_exposition(text: str) -> Exposition:
    """Return what is shown. Raises AssertionError where the text breaks a rule of the format."""
    assert text.endswith("\n")
    found = Exposition()
    described: set[str] = set()
    for line in text.splitlines():
        if about := _ABOUT.fullmatch(line):
            word, name, rest = about.groups()
            if word == "HELP":
                assert name not in described, line
                described.add(name)
            else:
                assert rest in _KINDS, line
                assert name not in found.kinds, line
                assert not any(shown.startswith(name) for shown in found.values), f"after its samples: {line}"
                found.kinds[name] = rest
            continue
        sample = _SAMPLE.fullmatch(line)
        assert sample, line
        name, labels, value, time_ms = sample.groups()
        shown = f"{name}{{{labels}}}" if labels else name
        assert shown not in found.values, f"twice: {line}"
        found.values[shown] = float(value)
        if time_ms:
            found.times_ms[shown] = int(time_ms)
    _check_histograms(found)
    return found


def _check_histograms(found: Exposition) -> None:
    for name in (name for name, kind in found.kinds.items() if kind == "histogram"):
        buckets = [value for shown, value in found.values.items() if shown.startswith(f"{name}_bucket{{")]
        assert buckets == sorted(buckets), name
        assert buckets[-1] == found.values[f"{name}_count"] == found.values[f'{name}_bucket{{le="+Inf"}}']
        assert f"{name}_sum" in found.values
