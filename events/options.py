"""What an option of the configuration may be, and how it is declared: beside the setting that it fills.

A field of a settings class says which option fills it, what values that has, what holds without it and since when it is honoured:

    scp_timeout_s: float = filled_by(Option("DicomScpTimeout", Whole(unit="s"), 30))

That is the whole declaration: `tools.configuration` finds it, checks what files hold, fills the field and writes the line of
docs/configuration.md. Checks were compared with Orthanc 1.12.7: it refuses `5.0` or `"5"` where a whole number is wanted and `1` where
a Boolean is wanted. Orthanc meets some bad values only when a request needs them; here all of them stop the start.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Protocol

FIRST: Final = "0.1.0"
MB: Final = 1 << 20
_KEY: Final = "option"  # in the metadata of a field


class Kind(Protocol):
    """What values an option may have."""

    @property
    def words(self) -> str:
        """Say it in docs/configuration.md."""

    def problem(self, value: object) -> str | None:
        """Say in words what is wrong with `value` as JSON gave it, or None; never repeats the value."""

    def read(self, value: Any, folder: Path) -> Any:
        """Return a good value as a setting has it; relative paths begin at `folder`."""


class Plain:
    """A kind whose values are settings as they are."""

    def read(self, value: Any, _folder: Path) -> Any:
        return value


@dataclass(frozen=True, slots=True)
class Boolean(Plain):
    words = "true or false"

    def problem(self, value: object) -> str | None:
        return None if isinstance(value, bool) else "must be true or false"


@dataclass(frozen=True, slots=True)
class Whole:
    """An integer in [low, high] of some unit; the setting has it `factor` times."""

    low: int = 0
    high: int = 2**32 - 1
    unit: str = ""
    factor: int = 1

    @property
    def words(self) -> str:
        bounds = f"{self.low} to {self.high}" if self.high < 2**32 - 1 else f"{self.low} or more"
        return f"{bounds} {self.unit}".rstrip()

    def problem(self, value: object) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int):
            return "must be a whole number"
        return None if self.low <= value <= self.high else f"must be between {self.low} and {self.high}"

    def read(self, value: int, _folder: Path) -> int:
        return value * self.factor


@dataclass(frozen=True, slots=True)
class Text(Plain):
    words = "text"

    def problem(self, value: object) -> str | None:
        return None if isinstance(value, str) else "must be a string"


@dataclass(frozen=True, slots=True)
class File:
    """A file or folder; empty is none."""

    words = "path"

    def problem(self, value: object) -> str | None:
        return None if isinstance(value, str) else "must be a string"

    def read(self, value: str | None, folder: Path) -> Path | None:
        return folder / value if value else None


@dataclass(frozen=True, slots=True)
class Title:
    """An application entity title: PS3.5 §6.2 allows 16 characters, Orthanc refuses an empty one."""

    words = "1 to 16 characters"

    def problem(self, value: object) -> str | None:
        if not isinstance(value, str):
            return "must be a string"
        if not value.strip() or len(value) > 16:
            return "an application entity title has 1 to 16 characters"
        return None if value.isascii() and value.isprintable() else "holds a character no AET may have"

    def read(self, value: str, _folder: Path) -> str:
        return value.strip()


@dataclass(frozen=True, slots=True)
class Texts:
    """A list of strings; `one` also takes a single string, as `AcceptedTransferSyntaxes` does in Orthanc."""

    one: bool = False

    @property
    def words(self) -> str:
        return "text or list of texts" if self.one else "list of texts"

    def problem(self, value: object) -> str | None:
        if self.one and isinstance(value, str):
            return None
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return None
        return "must be a list of strings"

    def read(self, value: str | list[str] | None, _folder: Path) -> tuple[str, ...]:
        return (value,) if isinstance(value, str) else tuple(value or ())


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words, or a Boolean where older files have one; `folded` compares without regard to case."""

    choices: tuple[str, ...]
    boolean: bool = False
    folded: bool = False

    @property
    def words(self) -> str:
        return ("true, false, " if self.boolean else "") + ", ".join(self.choices)

    def problem(self, value: object) -> str | None:
        if self.boolean and isinstance(value, bool):
            return None
        if isinstance(value, str) and (value in self.choices or (self.folded and self._named(value) is not None)):
            return None
        return f"must be {'' if self.boolean else 'one of '}{self.words}"

    def read(self, value: Any, _folder: Path) -> Any:
        return self._named(value) if self.folded else value

    def _named(self, value: str) -> str | None:
        """Return the word `value` stands for, spelled as here."""
        return next((word for word in self.choices if word.casefold() == value.casefold()), None)


@dataclass(frozen=True, slots=True)
class Section(Plain):
    """A JSON object whose contents are checked elsewhere, or not yet."""

    words = "object"

    def problem(self, value: object) -> str | None:
        return None if isinstance(value, dict) else "must be an object"


@dataclass(frozen=True, slots=True)
class Members:
    """A JSON object whose members fill the fields of one settings class; a member that fills none is known and has no effect."""

    made: Callable[..., Any]
    fields: Mapping[str, tuple[str, Kind]]  # member -> the field that it fills, what values it has

    words = "object"

    def problem(self, value: object) -> str | None:
        if not isinstance(value, dict):
            return "must be an object"
        for name, member in value.items():
            if name not in self.fields:
                return f"{name!r:.60} is no member; there are {', '.join(self.fields)}"
            if reason := self.fields[name][1].problem(member):
                return f"{name} {reason}"
        return None

    def read(self, value: Mapping[str, Any], folder: Path) -> Any:
        filled = {self.fields[name][0]: self.fields[name][1].read(member, folder) for name, member in value.items()}
        filled.pop("", None)
        return self.made(**filled)


@dataclass(frozen=True, slots=True)
class JobThreads:
    """How many threads a job of a type has; 0: as many as there are processors. Types that have no threads of their own are passed over."""

    words = "object of job types and numbers from 0 to 64"
    type: str  # whose number the setting is
    default: int

    def problem(self, value: object) -> str | None:
        if not isinstance(value, dict):
            return f"must be an {self.words}"
        wrong = [
            name
            for name, count in value.items()
            if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= 64
        ]
        return f'the number of "{wrong[0]}" must be a whole number from 0 to 64' if wrong else None

    def read(self, value: dict[str, Any], _folder: Path) -> int:
        count: int = value.get(self.type, self.default)
        return count or os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Users(Plain):
    """User name to password, in plain text as Orthanc has it."""

    words = "object of names and passwords"

    def problem(self, value: object) -> str | None:
        if not isinstance(value, dict):
            return "must be an object of user names and passwords"
        if not all(isinstance(password, str) for password in value.values()):
            return "a password is not a string"
        if any(":" in name for name in value):
            return "a user name holds a colon, which HTTP Basic cannot carry (RFC 7617)"
        return None


@dataclass(frozen=True, slots=True)
class Option:
    """One option. `default` is what holds when it is absent, None where another option decides."""

    name: str
    kind: Kind
    default: Any = None
    since: str | None = FIRST  # the release that honours it; None: not yet
    is_without_effect: bool = False  # nothing here depends on it
    protects: bool = (
        False  # users who set it rely on it: while it is not honoured, a value other than the default stops the start
    )
    is_secret: bool = False  # no message may repeat the value
    convert: Callable[[Any], Any] | None = None  # what the setting makes of it, where it is not the value itself

    @property
    def status(self) -> str:
        """What becomes of it, in docs/configuration.md."""
        if self.is_without_effect:
            return "no effect"
        return f"since {self.since}" if self.since else "refused" if self.protects else "later"

    def problem(self, value: object) -> str | None:
        """Say what is wrong with `value`, naming it where that gives no secret away."""
        reason = self.kind.problem(value)
        if reason is None or self.is_secret or isinstance(value, dict | list):
            return reason
        return f"{reason}, not {value!r:.60}"

    def read(self, value: Any, folder: Path) -> Any:
        """Return the setting that a good value, or None, stands for."""
        found = None if value is None and not isinstance(self.kind, Texts) else self.kind.read(value, folder)
        return found if self.convert is None else self.convert(found)

    def differs(self, value: object) -> bool:
        """Tell whether `value` asks for something else than happens without it."""
        if isinstance(self.kind, Choice) and self.kind.boolean and value == "Never":
            return False  # OverwriteInstances: the same as false
        return bool(value != self.default)


def filled_by(option: Option) -> Any:
    """Return the field of a settings class that an option fills; its default is the option's."""
    default = option.read(option.default, Path())
    how: dict[str, Any] = {"default_factory": type(default)} if isinstance(default, dict) else {"default": default}
    return field(**how, metadata={_KEY: option}, repr=not option.is_secret)


def same_as(settings: Any, name: str) -> Any:
    """Return a field that is filled by the same option as one of another settings class."""
    return filled_by(next(option for found in fields(settings) if found.name == name if (option := option_of(found))))


def option_of(declared: "Field[Any]") -> Option | None:
    """Return what fills a field, if an option does."""
    option: Option | None = declared.metadata.get(_KEY)
    return option
