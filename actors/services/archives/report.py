"""What an archive lacks: a text file at its end, there only if something is to be told."""

from typing import Final

from events.identifiers import ResourceId, format_resource_id

_TOLD: Final = 10_000  # instances that are named; of others the count is told
_HEAD: Final = "Instances that are damaged or missing in this archive: name, identifier, reason.\n\n"


class Report:
    """The instances whose file could not be read, or not to its end."""

    NAME: Final = "DAMAGED.TXT"

    def __init__(self) -> None:
        self.count = 0
        self.identifiers: list[str] = []
        self._lines: list[str] = []

    def add(self, name: str, instance: ResourceId, reason: str) -> None:
        self.count += 1
        if self.count <= _TOLD:
            self.identifiers.append(format_resource_id(instance))
            self._lines.append(f"{name}\t{self.identifiers[-1]}\t{reason}\n")

    def text(self) -> bytes:
        """Return the content of the file."""
        more = f"... and {self.count - _TOLD} more\n" if self.count > _TOLD else ""
        return (_HEAD + "".join(self._lines) + more).encode()
