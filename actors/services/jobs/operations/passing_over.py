"""Which errors a permissive job passes over, and by which of Orthanc's numbers they are counted."""

from actors.services.scripts.errors import ScriptFailed
from actors.wire.errors import RemoteFailed
from events.errors import InvalidDicom, NotFound, SinogramError

_BAD_FILE_FORMAT = 15
_UNKNOWN_RESOURCE = 17
_CANNOT_EXECUTE_LUA = 2031


def code_of(error: SinogramError) -> int:
    """Return the number of an error that is about one instance or one query; 0 for one that concerns this server."""
    match error:
        case RemoteFailed():
            return error.code
        case InvalidDicom():
            return _BAD_FILE_FORMAT
        case NotFound():
            return _UNKNOWN_RESOURCE
        case ScriptFailed():  # a filter that cannot say whether an instance may be sent
            return _CANNOT_EXECUTE_LUA
        case _:
            return 0


def passed_over(error: SinogramError, *, is_permissive: bool) -> int:
    """Return the number by which a permissive job counts an error; other jobs, and errors that concern this server, end with it."""
    code = code_of(error) if is_permissive else 0
    if not code:
        raise error
    return code
