"""The form of a log: one line a message, in which no text of a stranger can pass for a line of ours.

The one place that makes text safe. AETs, paths, names of users and of files come from any client; written as they come, a line feed
would begin a false line, and an escape sequence would control the operator's terminal.
"""

import io
import logging
from typing import Final

MOST_CHARACTERS: Final = (
    65_536  # of a message, and of a line of a stack; the rest is counted. Scripts print whole tables
)


def printable(text: str) -> str:
    """Return a text in which all but visible characters, blanks and tabs are escaped: control characters, marks of direction …"""
    if not text.isprintable():
        text = "".join(c if c.isprintable() or c == "\t" else c.encode("unicode_escape").decode() for c in text)
    if len(text) > MOST_CHARACTERS:
        text = f"{text[:MOST_CHARACTERS]}… ({len(text) - MOST_CHARACTERS} more)"
    return text


class LineFormatter(logging.Formatter):
    """A line for the message; those of a stack follow it, indented."""

    def __init__(self, process: str) -> None:
        super().__init__(
            f"%(asctime)s.%(msecs)03d %(levelname).1s {process} %(name)s: %(message)s", "%Y-%m-%d %H:%M:%S"
        )

    def format(self, record: logging.LogRecord) -> str:
        plain = logging.makeLogRecord(record.__dict__)
        plain.msg, plain.args = printable(record.getMessage()), None
        plain.exc_info = plain.exc_text = plain.stack_info = None
        lines = [super().format(plain)]
        if record.exc_info:
            lines += self.formatException(record.exc_info).splitlines()
        if record.stack_info:
            lines += record.stack_info.splitlines()
        return "\n    ".join([lines[0], *map(printable, lines[1:])])


class LoggedStderr(io.TextIOBase):
    """Takes the place of `sys.stderr`: text that libraries print there is logged line by line, under the name of our process."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._begun = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *whole, self._begun = (self._begun + text).split("\n")
        for line in whole:
            if line.strip():
                self._logger.warning("%s", line)
        return len(text)
