"""The base of every command: a frozen value that declares who sends it, and when the index takes it."""

from typing import ClassVar


class Command:
    """Base of all commands. Subclasses are `@dataclass(frozen=True, slots=True, kw_only=True)`."""

    __slots__ = ()
    ACTOR: ClassVar[str] = "index"  # the name under which its events enter the log
    IS_RECORD: ClassVar[bool] = False  # it changes nothing that the archive holds, so it is taken with `ReadOnly`
    FREES_SPACE: ClassVar[bool] = False  # it is taken when the disk is full, too
    # Files of deleted instances may be waiting for it. While some do, it is taken on a full disk, together with its companions,
    # such as the job of a callback. If it were refused, its consumer would stop, and the space of those files would never be free.
    RELEASES_FILES: ClassVar[bool] = False
