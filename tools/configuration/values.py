"""The values in the files, in the form that settings need."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from events.options import Option, option_of

Settings = TypeVar("Settings")


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """Options as they stand in the files, whose values are good. Plain values: they can be sent to another process."""

    given: Mapping[str, Any] = field(repr=False)  # JSON values; holds secrets
    folders: Mapping[str | None, Path]  # option -> folder of its file; None -> that of options in no file

    def folder(self, name: str) -> Path:
        """Return where relative paths of an option begin."""
        return self.folders.get(name, self.folders[None])

    def value(self, option: Option) -> Any:
        """Return an option, or its default, as its setting has it."""
        return option.read(self.given.get(option.name, option.default), self.folder(option.name))

    def fill(self, settings: type[Settings], **others: Any) -> Settings:
        """Return settings filled by their options, but for what `others` give."""
        filled = {
            declared.name: self.value(option)
            for declared in fields(settings)  # type: ignore[arg-type] # settings are dataclasses
            if declared.name not in others and (option := option_of(declared)) is not None
        }
        return settings(**filled, **others)
