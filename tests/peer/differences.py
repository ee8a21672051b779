"""The reviewed list of intended differences between Sinogram and the Orthanc that serves as oracle.

Each stands with its source. `when` sees the two values at the place where the answers part and must be as narrow as
the reason: a difference that is not described here fails the test.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """An intended difference: method, path and aspect are matched whole, the last two as regular expressions."""

    why: str
    source: str
    method: str = "GET"
    path: str
    aspect: str
    when: Callable[[object, object], bool]  # (ours, Orthanc's)


# An identifier of Orthanc's, and what comes before a resource in an answer that lists several.
ID = r"[0-9a-f]{8}(-[0-9a-f]{8}){4}"
IN_LIST = r"(/\d+)?"

ACCEPTED: tuple[Accepted, ...] = (
    Accepted(
        why="a patient tells whether it is protected",
        source="OpenAPI 1.12.11, GET /patients/{id}: the example has IsProtected; 1.12.7 has it not",
        path=rf"/patients.*|/(studies|series|instances)/{ID}/patient.*",
        aspect=rf"body{IN_LIST}/IsProtected",
        when=lambda ours, theirs: ours is False and theirs is ...,
    ),
    Accepted(
        why="the API offered is 1.12.11's",
        source="OpenAPI 1.12.11, GET /system: the example",
        path=r"/[/.]*(%73|s)ystem.*|/(app/\.\.|%2e%2e)/system",
        aspect="body/(ApiVersion|Version|DicomDefaultRetrieveMethod|PatientLevelEnabled)",
        when=lambda ours, theirs: (ours, theirs) in {(30, 27), ("1.12.11", "1.12.7"), ("C-MOVE", ...), (True, ...)},
    ),
    Accepted(
        why="capabilities are told that 1.12.7 did not know; Sinogram has neither",
        source="OpenAPI 1.12.11, GET /system: Capabilities",
        path=r"/[/.]*(%73|s)ystem.*|/(app/\.\.|%2e%2e)/system",
        aspect="body/Capabilities/(HasKeyValueStores|HasQueues|HasReserveQueueValue)",
        when=lambda ours, theirs: ours is False and theirs is ...,
    ),
    Accepted(
        why="Sinogram tells its own version beside the API's",
        source="README.md",
        path=r"/[/.]*(%73|s)ystem.*|/(app/\.\.|%2e%2e)/system",
        aspect="body/SinogramVersion",
        when=lambda ours, theirs: isinstance(ours, str) and theirs is ...,
    ),
    Accepted(
        why="a negative page is the caller's mistake; 1.12.7 hands it to SQLite, which breaks off",
        source="RFC 9110 §15.5.1; OpenAPI 1.12.11: `since` and `limit` are numbers of resources",
        path=r"/(patients|studies|series|instances)\?since=-?\d+&limit=-?\d+",
        aspect="status",
        when=lambda ours, theirs: str(ours).startswith("400 (5:") and str(theirs).startswith("500 (1010: SQLite"),
    ),
    Accepted(
        why="transfer syntaxes that came after 1.12.7's DCMTK are accepted too",
        source="features.md, row 4 of the feature table: HTJ2K, JPEG XL …; PS3.6 Annex A",
        method="*",
        path="/tools/accepted-transfer-syntaxes",
        aspect="body#length",
        when=lambda ours, theirs: (
            isinstance(ours, list) and isinstance(theirs, list) and set(theirs) < set(ours) and len(theirs) > 30
        ),
    ),
    Accepted(
        why="a body that claims to be gzip and is not is the caller's mistake",
        source="RFC 9110 §15.5.1 and §15.6.1",
        method="POST",
        path="/instances",
        aspect="status",
        when=lambda ours, theirs: str(ours).startswith("400 (15:") and theirs == "500 (-1: Internal error)",
    ),
    Accepted(
        why="a form cut before its last boundary may be cut inside a file: its sender must hear of it",
        source="RFC 2046 §5.1.1: the closing delimiter is required",
        method="POST",
        path="/instances",
        aspect="status",
        when=lambda ours, theirs: str(ours) == "400 (8: The multipart body is incomplete)" and theirs == "200 b''",
    ),
    Accepted(
        why="the server that writes a file received by C-STORE names itself and the sender in the file meta information",
        source="PS3.10 §7.1 (0002,0012), (0002,0013), (0002,0016); Orthanc leaves DCMTK's own",
        path=rf"/instances/{ID}/header\?received",
        aspect=r"body/0002,00(00/Value|12/Value|13/Value|16)",
        when=lambda ours, _: ours is not ...,
    ),
    Accepted(
        why="the file of a received instance is as much longer as its file meta information; the dataset is compared elsewhere",
        source="PS3.10 §7.1",
        path=rf"/instances/{ID}\?received",
        aspect="body/FileSize",
        when=lambda ours, theirs: isinstance(ours, int) and isinstance(theirs, int) and abs(ours - theirs) < 100,
    ),
)


Answer = dict[str, object]  # tag in hexadecimal -> text, or the items of a sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedFind:
    """An intended difference of C-FIND: `query` is matched whole, as a regular expression."""

    why: str
    source: str
    query: str
    when: Callable[[str, list[Answer], str, list[Answer]], bool]  # (our status and answers, Orthanc's)


ACCEPTED_FINDS: tuple[AcceptedFind, ...] = ()
