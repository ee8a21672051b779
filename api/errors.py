"""The one table from error classes to HTTP statuses and Orthanc's error codes; no other REST module knows either.

Every row was checked against Orthanc 1.12.7. The classes defined here are refinements only the REST API can tell apart;
those that other layers raise stand in `events.errors`.
"""

from dataclasses import dataclass, replace
from http import HTTPStatus

from actors.services.images.image import NoSuchFrame, NoSuchPart
from actors.services.images.slice_order import NoOrder
from actors.services.images.stacks import FormatsDiffer, SizesDiffer
from actors.services.scripts import errors as lua
from actors.services.scripts import filter_values
from actors.services.transcoding.targets import CannotTranscode
from actors.wire import errors as remote
from events.errors import (
    Busy,
    CorruptIndex,
    CorruptLog,
    DamagedFile,
    Forbidden,
    InvalidDicom,
    InvalidJson,
    InvalidRequest,
    LimitReached,
    MissingTag,
    NotFound,
    PeerFailed,
    ReadOnlyArchive,
    RevisionConflict,
    SinogramError,
    StorageFailed,
    StorageFull,
    Unauthorized,
)
from store.dicom.change import errors as change


class OutOfRange(InvalidRequest):
    """An argument has the right type and a value that is not allowed."""


class BadType(InvalidRequest):
    """An argument is not of the type it must have, such as a number that does not parse."""


class UnknownTag(InvalidRequest):
    """A name in the request is no DICOM tag."""


class UnsupportedMediaType(InvalidRequest):
    """The body of the request is of a type that its route does not take."""


class BodyTooLarge(InvalidRequest):
    """The request's body exceeds `MaximumRequestBodySizeMB`."""


class BodyBroken(InvalidRequest):
    """The request's body did not come to its end: the connection did, or the chunks are malformed."""


class BodySilent(InvalidRequest):
    """The client has stopped sending the body of its request (`HttpRequestTimeout`)."""


class NotImplementedYet(SinogramError):  # named like the classes of events.errors
    """Orthanc can do it, this server cannot yet."""


class NoRoomForAttachment(StorageFull):
    """A limit of the archive lets no attachment more in; Orthanc answers that otherwise than for an instance."""


class BadField(InvalidRequest):
    """A field of the request's JSON is missing or has the wrong type."""


class BadRange(InvalidRequest):
    """The header `Range` cannot be read, or lies beyond the end of what is asked for."""


class NotVerified(InvalidRequest):
    """An attachment is not what was stored, or nothing is known to compare it with; Orthanc says nothing more of it."""


class BadSequence(SinogramError):  # named like the classes of events.errors
    """What is asked for is not possible as things stand."""


class RefusedQuery(InvalidRequest):
    """A query that is too wide for its route; Orthanc says nothing more of it."""


class AlreadyHasParent(InvalidRequest):
    """A tag of a new instance is one that its parent, or the server, gives it."""


class PixelsAreContent(InvalidRequest):
    """Pixel Data stands among the tags of a new instance."""


class NoDataUri(InvalidRequest):
    """The content of a new instance is no text."""


class NoParent(InvalidRequest):
    """What a new instance is to belong to is not there."""


class ParentIsInstance(InvalidRequest):
    """What a new instance is to belong to is an instance."""


class NotTranscoded(NotFound):
    """A file cannot be had in the transfer syntax that a URI names; Orthanc answers as if it were not there."""


class InexistentFile(NotFound):
    """A file that the request names is not on this server."""


class InexistentItem(NotFound):
    """Something that a URI names does not exist, where Orthanc says so in a body."""


class NoSuchAction(InvalidRequest):
    """What is asked of a job cannot be done: there is no such job, or its state does not allow it."""


class JobHasFailed(SinogramError):
    """The job that a request waited for ended in an error, whose number in Orthanc's numbering is `code`."""

    def __init__(self, code: int, details: str) -> None:
        super().__init__(*([details] if details else []))
        self.code = code


class NoPicture(SinogramError):
    """The image that is asked for cannot be made of this instance, or not in this way."""


class NotAcceptable(SinogramError):
    """No type that the client takes can be had of what it asks for (RFC 9110 §15.5.7)."""


class UnknownRoute(NotFound):
    """No such URI, or a URI below a resource that does not exist (Orthanc answers both alike)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How one class of errors is answered."""

    status: HTTPStatus
    code: int  # Orthanc's `OrthancStatus`
    message: str  # Orthanc's `Message` and `OrthancError`
    with_body: bool = True
    with_details: bool = True


_INTERNAL = Answer(HTTPStatus.INTERNAL_SERVER_ERROR, -1, "Internal error")

ANSWERS: dict[type[Exception], Answer] = {
    InvalidRequest: Answer(HTTPStatus.BAD_REQUEST, 8, "Bad request"),
    InvalidJson: Answer(HTTPStatus.BAD_REQUEST, 28, "Cannot parse a JSON document"),
    InvalidDicom: Answer(HTTPStatus.BAD_REQUEST, 15, "Bad file format"),
    MissingTag: Answer(HTTPStatus.NOT_FOUND, 21, "Inexistent tag"),
    OutOfRange: Answer(HTTPStatus.BAD_REQUEST, 3, "Parameter out of range"),
    BadType: Answer(HTTPStatus.BAD_REQUEST, 5, "Bad type for a parameter"),
    UnknownTag: Answer(HTTPStatus.INTERNAL_SERVER_ERROR, 27, "Unknown DICOM tag"),
    change.UnknownName: Answer(HTTPStatus.INTERNAL_SERVER_ERROR, 27, "Unknown DICOM tag"),
    change.BadPath: Answer(HTTPStatus.BAD_REQUEST, 3, "Parameter out of range"),
    change.UnknownEdition: Answer(HTTPStatus.BAD_REQUEST, 3, "Parameter out of range"),
    change.BadValue: Answer(HTTPStatus.BAD_REQUEST, 5, "Bad type for a parameter"),
    CannotTranscode: _INTERNAL,
    BodyTooLarge: Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, 8, "Bad request", with_body=False),
    UnsupportedMediaType: Answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, 3000, "Unsupported media type"),
    BodySilent: Answer(HTTPStatus.REQUEST_TIMEOUT, 8, "Bad request"),
    NotFound: Answer(HTTPStatus.NOT_FOUND, 17, "Unknown resource", with_body=False),
    UnknownRoute: Answer(HTTPStatus.NOT_FOUND, 17, "Unknown resource"),
    Unauthorized: Answer(
        HTTPStatus.UNAUTHORIZED, 29, "Bad credentials were provided to an HTTP request", with_body=False
    ),
    Forbidden: Answer(HTTPStatus.FORBIDDEN, 45, "Access to a resource is forbidden", with_body=False),
    RevisionConflict: Answer(
        HTTPStatus.CONFLICT,
        43,
        "A bad revision number was provided, which might indicate conflict between multiple writers",
    ),
    Busy: Answer(
        HTTPStatus.SERVICE_UNAVAILABLE, 36, "The database is currently not available (probably a transient situation)"
    ),
    StorageFull: Answer(HTTPStatus.INSUFFICIENT_STORAGE, 19, "The file storage is full"),
    LimitReached: Answer(HTTPStatus.INSUFFICIENT_STORAGE, 19, "The file storage is full", with_details=False),
    NoRoomForAttachment: Answer(HTTPStatus.INTERNAL_SERVER_ERROR, 19, "The file storage is full"),
    StorageFailed: Answer(HTTPStatus.INTERNAL_SERVER_ERROR, 14, "Cannot write to file"),
    ReadOnlyArchive: Answer(HTTPStatus.INTERNAL_SERVER_ERROR, 22, "Cannot modify a read-only data structure"),
    DamagedFile: Answer(HTTPStatus.INTERNAL_SERVER_ERROR, 20, "Corrupted file (e.g. inconsistent MD5 hash)"),
    BadField: Answer(HTTPStatus.BAD_REQUEST, 15, "Bad file format"),
    AlreadyHasParent: Answer(HTTPStatus.BAD_REQUEST, 2020, "Trying to override a value inherited from a parent module"),
    PixelsAreContent: Answer(
        HTTPStatus.BAD_REQUEST, 2021, 'Use "Content" to inject an image into a new DICOM instance'
    ),
    NoDataUri: Answer(
        HTTPStatus.BAD_REQUEST,
        2023,
        "The payload of the DICOM instance must be specified according to Data URI scheme",
    ),
    NoParent: Answer(HTTPStatus.BAD_REQUEST, 2024, "Trying to attach a new DICOM instance to an inexistent resource"),
    ParentIsInstance: Answer(
        HTTPStatus.BAD_REQUEST,
        2025,
        "Trying to attach a new DICOM instance to an instance (must be a series, study or patient)",
    ),
    BadSequence: Answer(HTTPStatus.INTERNAL_SERVER_ERROR, remote.BAD_SEQUENCE_OF_CALLS, "Bad sequence of calls"),
    NotAcceptable: Answer(HTTPStatus.NOT_ACCEPTABLE, 8, "Bad request"),
    NoPicture: Answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, 23, "Incompatible format of the images"),
    FormatsDiffer: Answer(HTTPStatus.INTERNAL_SERVER_ERROR, 23, "Incompatible format of the images"),
    NoSuchFrame: Answer(HTTPStatus.BAD_REQUEST, 3, "Parameter out of range"),
    NoSuchPart: Answer(HTTPStatus.BAD_REQUEST, 3, "Parameter out of range"),
    SizesDiffer: Answer(HTTPStatus.INTERNAL_SERVER_ERROR, 24, "Incompatible size of the images"),
    NoOrder: Answer(HTTPStatus.INTERNAL_SERVER_ERROR, 2040, "Unable to order the slices of the series"),
    BadRange: Answer(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, 41, "Incorrect range request"),
    NotVerified: Answer(HTTPStatus.BAD_REQUEST, 8, "Bad request", with_body=False),
    RefusedQuery: Answer(HTTPStatus.BAD_REQUEST, 8, "Bad request", with_body=False),
    NotTranscoded: Answer(HTTPStatus.NOT_FOUND, 17, "Unknown resource"),
    InexistentFile: Answer(HTTPStatus.NOT_FOUND, 13, "Inexistent file"),
    InexistentItem: Answer(HTTPStatus.NOT_FOUND, 7, "Accessing an inexistent item"),
    NoSuchAction: Answer(HTTPStatus.BAD_REQUEST, 8, "Bad request", with_body=False),
    PeerFailed: Answer(HTTPStatus.INTERNAL_SERVER_ERROR, 9, "Error in the network protocol"),
    NotImplementedYet: Answer(HTTPStatus.NOT_IMPLEMENTED, 2, "Not implemented yet"),
    lua.ScriptFailed: Answer(HTTPStatus.INTERNAL_SERVER_ERROR, 2031, "Cannot execute a Lua command"),
    filter_values.WrongOutput: Answer(
        HTTPStatus.INTERNAL_SERVER_ERROR, 2033, "The Lua function does not give the expected number of outputs"
    ),
    filter_values.NotPredicate: Answer(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        2034,
        "The Lua function is not a predicate (only true/false outputs allowed)",
        with_details=False,
    ),
    filter_values.NoStatus: Answer(
        HTTPStatus.INTERNAL_SERVER_ERROR, 2035, "The Lua function does not return a string", with_details=False
    ),
    filter_values.UnknownTag: Answer(HTTPStatus.INTERNAL_SERVER_ERROR, 27, "Unknown DICOM tag"),
    CorruptIndex: Answer(HTTPStatus.INTERNAL_SERVER_ERROR, 11, "Error with the database engine"),
    CorruptLog: _INTERNAL,
    SinogramError: _INTERNAL,
    Exception: _INTERNAL,
}

# What a remote modality can do to us, by Orthanc's code, which the error carries.
REMOTE_ANSWERS: dict[int, Answer] = {
    code: Answer(HTTPStatus.INTERNAL_SERVER_ERROR, code, message)
    for code, message in (
        (remote.NETWORK_PROTOCOL, "Error in the network protocol"),
        (remote.NO_PRESENTATION_CONTEXT, "DicomUserConnection: No acceptable presentation context for modality"),
        (remote.FIND_UNAVAILABLE, "DicomUserConnection: The C-FIND command is not supported by the remote SCP"),
        (2017, "DicomUserConnection: The C-MOVE command is not supported by the remote SCP"),
        (remote.GET_UNAVAILABLE, "DicomUserConnection: The C-GET command is not supported by the remote SCP"),
    )
}

# What is wrong on this side of a request to a peer or a DICOMweb server: there is none of this name, our certificate for it is not there, its
# description is wrong; or what the remote says of our credentials.
REMOTE_ANSWERS |= {
    ANSWERS[row].code: replace(ANSWERS[row], with_body=True)
    for row in (UnknownRoute, InexistentFile, InexistentItem, BadField, Unauthorized)
}

# What jobs can end in that no request is answered with.
_OF_JOBS = (
    Answer(HTTPStatus.OK, 0, "Success"),
    Answer(HTTPStatus.INTERNAL_SERVER_ERROR, 37, "This job was canceled"),
)


def describe(code: int) -> str:
    """Return Orthanc's words for one of its error codes."""
    return _answer_of(code).message


def _answer_of(code: int) -> Answer:
    """Return the row of a code; where several classes share one, the one with a body."""
    rows = (*_OF_JOBS, *REMOTE_ANSWERS.values(), *ANSWERS.values())
    fitting = [answer for answer in rows if answer.code == code]
    return next((answer for answer in fitting if answer.with_body), fitting[0] if fitting else _INTERNAL)


def answer_for(error: BaseException) -> Answer:
    """Return how `error` is answered: the row of its class or of the nearest base class that has one."""
    if isinstance(error, JobHasFailed):
        return replace(_answer_of(error.code), with_body=True)
    if isinstance(error, remote.RemoteFailed):
        answer = REMOTE_ANSWERS.get(error.code, REMOTE_ANSWERS[remote.NETWORK_PROTOCOL])
        return replace(answer, status=HTTPStatus(error.http_status))
    return next((ANSWERS[base] for base in type(error).__mro__ if base in ANSWERS), _INTERNAL)
