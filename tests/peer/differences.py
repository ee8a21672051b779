"""The reviewed list of intended differences between Sinogram and the Orthanc that serves as oracle.

Each stands with its source. `when` sees the two values at the place where the answers part and must be as narrow as
the reason: a difference that is not described here fails the test.
"""

import ctypes
import re
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
    before: tuple[int, ...] | None = None  # only for an Orthanc older than this


# An identifier of Orthanc's, and what comes before a resource in an answer that lists several.
ID = r"[0-9a-f]{8}(-[0-9a-f]{8}){4}"
IN_LIST = r"(/\d+)?"

_CHUNK = '[string "line"]'
_CONNECTING = "DicomAssociation - connecting to AET "
_NEVER_STORED = {"1.2.840.10008.1.2.6.1", "1.2.840.10008.1.2.6.2"}

_RESOURCES = r"/(patients|studies|series|instances)\b.*"
# (ours, Orthanc's): the same bytes, which several character sets share.
_IN_SEVERAL_SETS = {
    ("ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう", "ﾔﾏﾀﾞ^ﾀﾛｳ=;3ED^B@O:=$d$^$@^$?$m$&"),
    ("やまだ^たろう", "$B$d$^$@(B^$B$?$m$&(B"),
    ("やまだ^たろう\\やまだ^たろう", "$B$d$^$@(B^$B$?$m$&(B\\$B$d$^$@(B^$B$?$m$&(B"),
    ("たろう", "$B$?$m$&(B"),
    ("Grün^Лю", "Grün^»î"),
    ("Люк ", "»îÚ "),
    ("Люке", "»îÚÕ"),
    ("Grün!", "GrÃ¼n!"),  # in an item that names a set of its own
}
# By tag and by keyword: of OF, OL, OV and OD.
_OTHER_NUMBERS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("0066,0016", "PointCoordinatesData"), (r"1\2", r"4.6006029882248069e-41\8.9683101716788293e-44")),
    **dict.fromkeys(("0066,0129", "TrackPointIndexList"), (r"50462976\117835012", r"66051\67438087")),
    **dict.fromkeys(
        ("0072,0081", "SelectorOVValue"),
        (r"506097522914230528\1084818905618843912", r"283686952306183\579005069656919567"),
    ),
    **dict.fromkeys(("0070,150d", "VolumetricCurvePoints", "7fe0,0008", "FloatPixelData"), ("0",)),
}


def _told_number(ours: object, theirs: object) -> bool:
    """A number, or a list of some, where 1.12.7 says nothing, or not that all instances share it."""
    if isinstance(ours, dict):
        return theirs is ... and ours["Type"] == "String" and ours["Value"] in _OTHER_NUMBERS[ours["Name"]]
    return theirs in (None, ...) and any(ours in numbers for numbers in _OTHER_NUMBERS.values())


def _read_in_its_sets(ours: object, theirs: object) -> bool:
    """The text as it was meant; where it was written in two ways, 1.12.7 does not see that instances share it."""
    told = ours.get("Value") if isinstance(ours, dict) and theirs is ... else ours
    return any(told == meant and theirs in (shown, ...) for meant, shown in _IN_SEVERAL_SETS)


_AFTER_ITEMS = re.compile(rb'((?:</Item>|<Item number="\d+" />)\n) *<Value number="\d+" />\n')
_NUMBER = re.compile(rb"(?<=>)-?\d+(?:\.\d+)?(?:e[+-]\d+)?(?=</Value>)")


def _only_items_and_whole_doubles(ours: object, theirs: object) -> bool:
    """The same document, without the values behind items and in the digits of single precision."""
    if not isinstance(ours, bytes) or not isinstance(theirs, bytes):
        return False
    mine, right = (_NUMBER.sub(_in_single_precision, body) for body in (ours, _AFTER_ITEMS.sub(rb"\1", theirs)))
    return mine == right


def _in_single_precision(number: re.Match[bytes]) -> bytes:
    return b"%.9g" % ctypes.c_float(float(number[0])).value


ACCEPTED: tuple[Accepted, ...] = (
    Accepted(
        why="a sequence of the Native DICOM Model holds nothing but items, and a double keeps its digits; 1.12.7 writes an empty value behind each "
        "item, and 862399744 for 862399761.111079",
        source="PS3.19 §A.1.6, the schema; PS3.5 §6.2: FD is of double precision",
        path=rf"/instances/{ID}/file",
        aspect="body",
        when=_only_items_and_whole_doubles,
    ),
    Accepted(
        why="text in several character sets is read as it was written; 1.12.7 shows escape sequences, or letters of the first set",
        source="PS3.5 §6.1.2.4, §6.1.2.5.3: code extension; §6.1.2.3: an item may name its own set",
        path=_RESOURCES,
        aspect="body.*",
        when=_read_in_its_sets,
    ),
    Accepted(
        why="a backslash parts values, also beside JIS X 0201, where the same byte is a yen sign; 1.12.7 makes one value of a list",
        source="PS3.5 §6.1.2.3, note on the yen sign",
        path=_RESOURCES,
        aspect="body.*",
        when=lambda ours, theirs: "¥" in str(theirs) and str(theirs).replace("¥", "\\") == ours,
    ),
    Accepted(
        why="OD, OF, OL and OV are shown as numbers, however many",
        source="release notes of 1.12.11; 1.12.7 shows none",
        path=_RESOURCES,
        aspect=rf"body.*/({'|'.join(_OTHER_NUMBERS)})(/Value)?",
        when=_told_number,
    ),
    Accepted(
        why="OD, OF, OL and OV are shown as numbers, however many",
        source="release notes of 1.12.11; 1.12.7 shows none",
        path=_RESOURCES,
        aspect=rf"body.*/({'|'.join(_OTHER_NUMBERS)})/Type",
        when=lambda ours, theirs: (ours, theirs) == ("String", "Null"),
    ),
    Accepted(
        why="an error in a script of the configuration names its file, where Orthanc says line in what",
        source="issue: an endless loop ends in a logged error with the script's file and line",
        method="*",
        path="/.*",
        aspect="body/Details",
        when=lambda ours, theirs: (
            str(theirs).startswith(_CHUNK) and re.sub(r"^\S+\.lua:", _CHUNK + ":", str(ours)) == theirs
        ),
    ),
    Accepted(
        why="a C-GET that the modality could not process has failed, and nobody is told that it went well",
        source="PS3.4 §C.4.3.1.4: 0xCxxx is a failure",
        method="POST",
        path="/modalities/archive/get",
        aspect="status",
        when=lambda ours, theirs: "0xC000" in str(ours) and str(theirs).startswith("200"),
    ),
    Accepted(
        why="an operator is told why a modality refused or was lost, where Orthanc has DCMTK's words for all of it",
        source="actors/services/remote/explanation.py",
        method="POST",
        path=r"/modalities/(silent|rejecting|aborting|closing)/(echo|query)",
        aspect="body/Details",
        when=lambda ours, theirs: (
            str(ours).startswith(_CONNECTING)
            and str(theirs).startswith(_CONNECTING)
            and len(str(ours)) > len(_CONNECTING)
        ),
    ),
    Accepted(
        why="an operator is told what a peer has answered, or why it has not, where Orthanc has cURL's words, or a fixed sentence",
        source="observed; actors/services/remote/peer_client.py",
        method="*",
        path="/peers/[a-z]+/(system|store|store-straight)",
        aspect="body/Details",
        when=lambda ours, theirs: (
            re.match(r"Peer \w+ (gives no answer: |has answered with HTTP status \d+)", str(ours)) is not None
            and (theirs is ... or str(theirs).startswith(("libCURL error: ", "Cannot send DICOM to remote peer: ")))
        ),
    ),
    Accepted(
        why="a peer that answers with an error has failed as one that does not answer; 1.12.7 tells of its own HTTP server instead",
        source="observed: code 2005 is of answers that a plugin may not give",
        path="/peers/[a-z]+/system",
        aspect="body/(Message|OrthancError|OrthancStatus)",
        when=lambda ours, theirs: (
            (ours, theirs)
            in {(9, 2005), ("Error in the network protocol", "This HTTP status is not allowed in a REST API")}
        ),
    ),
    Accepted(
        why="a patient tells whether it is protected",
        source="OpenAPI 1.12.11, GET /patients/{id}: the example has IsProtected; 1.12.7 has it not",
        method="*",
        path=rf"/patients.*|/(studies|series|instances)/{ID}/patient.*|/tools/find",
        aspect=rf"body{IN_LIST}/IsProtected",
        when=lambda ours, theirs: isinstance(ours, bool) and theirs is ...,
    ),
    Accepted(
        why="a main tag that the index does not have is left out at every level; below a patient 1.12.7 reads extra tags of patients from a file",
        source="observed: ExtraMainDicomTags of Patient, asked of studies, series and instances; Orthanc's own tags of patients are left out",
        path=r"/(studies|series|instances)\?expand.*requested-tags=PatientComments;EthnicGroup.*",
        aspect="body/\\d+/RequestedTags/(PatientComments|EthnicGroup|0010,4000|0010,2160)",
        when=lambda ours, theirs: ours is ... and theirs is not ...,
    ),
    Accepted(
        why="the API offered is 1.12.11's",
        source="OpenAPI 1.12.11, GET /system: the example",
        path=r"/[/.]*(%73|s)(%79|y)stem.*|/(app/\.\.|%2e%2e)/system",
        aspect="body/(ApiVersion|Version|DicomDefaultRetrieveMethod|PatientLevelEnabled)",
        when=lambda ours, theirs: (ours, theirs) in {(30, 27), ("1.12.11", "1.12.7"), ("C-MOVE", ...), (True, ...)},
    ),
    Accepted(
        why="capabilities are told that 1.12.7 did not know; Sinogram has the first of them",
        source="OpenAPI 1.12.11, GET /system: Capabilities",
        path=r"/[/.]*(%73|s)(%79|y)stem.*|/(app/\.\.|%2e%2e)/system",
        aspect="body/Capabilities/(HasKeyValueStores|HasQueues|HasReserveQueueValue)",
        when=lambda ours, theirs: isinstance(ours, bool) and theirs is ...,
    ),
    Accepted(
        why="DICOMweb is built in and shown as Orthanc's plugin is, which this Orthanc runs without",
        source="README.md",
        path="/plugins",
        aspect="body#length",
        when=lambda ours, theirs: (ours, theirs) == (["explorer.js", "dicom-web"], ["explorer.js"]),
    ),
    Accepted(
        why="requested tags are given of what lies above a resource, too; 1.12.7 documents that and ignores it",
        source="OpenAPI 1.12.11, GET /studies/{id}/patient: requested-tags",
        path=rf"/(studies|series|instances)/{ID}/(patient|study|series)\?requested-tags=.*",
        aspect="body/RequestedTags",
        when=lambda ours, theirs: isinstance(ours, dict) and theirs is ...,
    ),
    Accepted(
        why="a query that is no object, a flag that is none, are the caller's mistake, where 1.12.7 breaks off",
        source="RFC 9110 §15.5.1 and §15.6.1; OpenAPI 1.12.11, POST /tools/find",
        method="POST",
        path=r"/tools/find\?no-(object|boolean)",
        aspect="status",
        when=lambda ours, theirs: str(ours).startswith("400 (8: Field") and str(theirs).startswith("500 (-1:"),
    ),
    Accepted(
        why="a parent below the level is the caller's mistake, as is an order by what the index has not; 1.12.7 breaks off",
        source="RFC 9110 §15.5.1; OpenAPI 1.12.11, POST /tools/find: ParentSeries limits to its descendants",
        method="POST",
        path=r"/tools/find\?(parent-below|no-main-tag)",
        aspect="status",
        when=lambda ours, theirs: (
            str(ours).startswith("400 (8: Field") and str(theirs).startswith(("500 (6:", "500 (1012:"))
        ),
    ),
    Accepted(
        why="an error names the metadata that there is not",
        source="observed: 1.12.7 says that there is no such item",
        method="POST",
        path=r"/tools/(find|count-resources)(\?no-metadata)?",
        aspect="body/Details",
        when=lambda ours, theirs: str(ours).startswith("There is no metadata") and theirs is ...,
    ),
    Accepted(
        why="None with no labels looks for resources without labels",
        source="OpenAPI 1.12.11, POST /tools/find: LabelsConstraint, from 1.12.11 on",
        method="POST",
        path=r"/tools/find\?no-labels",
        aspect="body.*",
        when=lambda ours, theirs: theirs is not ... and len(ours) < len(theirs),  # type: ignore[arg-type]  # lists
    ),
    Accepted(
        why="a limit is one of answers; 1.12.7 applies it to what it then looks for in files, and finds less or nothing",
        source="OpenAPI 1.12.11, POST /tools/find: Limit is the number of reported resources",
        method="POST",
        path=r"/tools/find\?limit-of-files",
        aspect="body.*",
        when=lambda ours, theirs: len(ours) == 2 and len(theirs) < 2,  # type: ignore[arg-type]  # lists
    ),
    Accepted(
        why="of several parents all are meant; 1.12.7 heeds the highest alone",
        source="OpenAPI 1.12.11, POST /tools/find: ParentSeries limits the reported resources to descendants of this series",
        method="POST",
        path=r"/tools/find\?two-parents",
        aspect="body.*",
        when=lambda ours, theirs: ours == [] and bool(theirs),
    ),
    Accepted(
        why="modalities are matched by wildcards as other texts; in 1.12.7 nothing matches them",
        source="PS3.4 C.2.2.2.4 with C.3.4; ours is the same in C-FIND",
        method="POST",
        path=r"/tools/find\?modality-by-wildcard",
        aspect="body.*",
        when=lambda ours, theirs: bool(ours) and theirs == [],
    ),
    Accepted(
        why="MetadataAsFloat compares numbers; 1.12.7 knows it and compares texts",
        source="the message of 1.12.7 that lists the types of OrderBy",
        method="POST",
        path=r"/tools/find\?metadata-as-float",
        aspect=r"body/\d+",
        when=lambda ours, theirs: isinstance(ours, str) and isinstance(theirs, str),
    ),
    Accepted(
        why="a main tag that a resource has not is left out of RequestedTags; 1.12.7 tells null, for it reads the file in vain",
        source="the index has the answer; with Expand 1.12.7 leaves it out, too",
        method="POST",
        path=r"/tools/find\?absent-main-tag",
        aspect=r"body/\d+/RequestedTags/OtherPatientIDs",
        when=lambda ours, theirs: ours is ... and theirs is None,
    ),
    Accepted(
        why="a question mark stands for one character, and case does not count; for 1.12.7 letters beyond ASCII are none, or have no case",
        source="PS3.4 C.2.2.2.4",
        method="POST",
        path=r"/tools/find\?one-character",
        aspect="body.*",
        when=lambda ours, theirs: len(ours) > len(theirs),  # type: ignore[arg-type]  # lists
    ),
    Accepted(
        why="Sinogram tells its own version beside the API's",
        source="README.md",
        path=r"/[/.]*(%73|s)(%79|y)stem.*|/(app/\.\.|%2e%2e)/system",
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
        why="transfer syntaxes that came after 1.12.7's DCMTK are accepted too; MIME and XML encodings, retired, are not",
        source="features.md, row 4 of the feature table: HTJ2K, JPEG XL …; PS3.6 Annex A; PS3.5 A.7 and A.8 apply to no C-STORE",
        method="*",
        path="/tools/accepted-transfer-syntaxes",
        aspect="body#length",
        when=lambda ours, theirs: (
            isinstance(ours, list)
            and isinstance(theirs, list)
            and set(theirs) - set(ours) <= _NEVER_STORED
            and len(theirs) > 30
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
        when=lambda ours, theirs: (
            str(ours).startswith("400 (8: The multipart body is incomplete") and theirs == "200 b''"
        ),
    ),
    Accepted(
        why="a file cut after the header of its pixel data, or inside a sequence of undefined length, is cut: refused",
        source="PS3.5 §7.5.2 and §A.4: the delimiters are required; Orthanc takes the first as pixel data without frames",
        method="POST",
        path="undefined-lengths cut at (514|590) of 904|encapsulated-1.2.840.10008.1.2.4.50 cut at 776 of 848",
        aspect="status|OrthancStatus|Details|ID|Status",
        when=lambda ours, _: ours in {400, 15, None} or str(ours).startswith("Cannot parse"),
    ),
    Accepted(
        why="the control character DEL is escaped; the JSON means the same",
        source="RFC 8259 §7: any character may be escaped",
        path=rf"/(instances|series|studies|patients)/{ID}/.*",
        aspect="layout of the JSON",
        when=lambda ours, theirs: isinstance(ours, bytes) and ours.replace(rb"\u007f", b"\x7f") == theirs,
    ),
    Accepted(
        why="an identifier too long to be shown makes a bad file; Orthanc stumbles over its type",
        source="PS3.5 §6.2: LO has 64 characters, UI 64 bytes; both answers are 400",
        method="POST",
        path="/instances#handmade-long-identifiers",
        aspect="body/(Details|Message|OrthancError|OrthancStatus)",
        when=lambda ours, theirs: theirs in {..., "Bad type for a parameter", 5},
    ),
    Accepted(
        why="an older Orthanc does not send these headers, 1.12.7 does",
        source="observed: 1.10.1 beside 1.12.7",
        method="*",
        path=".*",
        aspect="header (x-content-type-options|content-type)",
        when=lambda ours, theirs: ours in {"nosniff", "text/plain"} and theirs is None,
        before=(1, 12),
    ),
    Accepted(
        why="an older Orthanc keeps fewer main tags",
        source="OpenAPI 1.12.11, GET /system: MainDicomTags have 0008,0201, 0040,0244, 0040,0245, 0040,0275",
        path=".*",
        aspect=r".*/(TimezoneOffsetFromUTC|PerformedProcedureStepStart(Date|Time)|RequestAttributesSequence|0008,0201|0040,02(44|45|75))",
        when=lambda _, theirs: theirs is ...,
        before=(1, 12),
    ),
    Accepted(
        why="an older DCMTK names these elements otherwise or not at all",
        source="PS3.6: 0008,041c is new, 3006,0085 and 3006,0088 have been retired",
        path=".*",
        aspect=".*/(0008,041c|3006,0085|3006,0088)/Name|.*/(PriorRecordKey|Unknown Tag & Data|(RETIRED_)?ROIObservation(Label|Description))",
        when=lambda ours, theirs: (ours is ...) != (theirs is ...) or isinstance(ours, str),
        before=(1, 12),
    ),
    Accepted(
        why="an older Orthanc has no labels",
        source="features.md, row 67: new in 1.12.0",
        path=".*",
        aspect=".*/Labels",
        when=lambda ours, theirs: ours == [] and theirs is ...,
        before=(1, 12),
    ),
    Accepted(
        why="an older Orthanc gives no details here",
        source="observed: 1.10.1 beside 1.12.7",
        path=".*",
        aspect="body/Details",
        when=lambda ours, theirs: isinstance(ours, str) and theirs is ...,
        before=(1, 12),
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
    Accepted(
        why="a tag is the revision, as the book shows it; 1.12.7 adds the MD5 of the value, and with SQLite counts nothing",
        source="docs/compatibility.md, Revisions",
        method="*",
        path=r"/\w+/[^/]+/(metadata|attachments)/[^?]+(\?.*)?",
        aspect="header etag",
        when=lambda ours, theirs: (
            re.fullmatch(r'"\d+"', str(ours)) is not None
            and re.fullmatch(r'"\d-[0-9a-f]{32}"', str(theirs)) is not None
        ),
    ),
    Accepted(
        why="a range whose end comes before its beginning is a mistake of the client's; 1.12.7 calls it an error of its own",
        source="RFC 9110 §14.1.1",
        path=r"/\w+/[^/]+/attachments/.*",
        aspect="status",
        when=lambda ours, theirs: str(ours).startswith("416 (41: ") and str(theirs) == "500 (6: Bad sequence of calls)",
    ),
    Accepted(
        why="an error is described as text; of an empty attachment 1.12.7 gives the description the type of the attachment",
        source="1.12.7 itself, for every other error",
        path=r"/\w+/[^/]+/attachments/.*",
        aspect="header content-type",
        when=lambda ours, theirs: (ours, theirs) == ("text/plain", "application/octet-stream"),
    ),
    Accepted(
        why="a job shows which resources it is about; 1.12.7 does so in its content alone",
        source="Orthanc 1.12.11 has a field Resources",
        path=r"/jobs.*",
        aspect=r"body(/\d+)?/Resources",
        when=lambda ours, theirs: isinstance(ours, list) and theirs is ...,
    ),
    Accepted(
        why="a job shows what its request said of it; 1.12.7 keeps it to itself",
        source="OpenAPI 1.12.11, POST /modalities/{id}/store: UserData travels along with the job",
        path=r"/jobs/\{job\}.*",
        aspect="body/UserData",
        when=lambda ours, theirs: ours == {"a": 1, "b": [1, 2]} and theirs is ...,
    ),
    Accepted(
        why="an operator is told in which way a modality cannot be reached, where Orthanc has DCMTK's words for all of it",
        source="actors/services/remote/explanation.py",
        method="POST",
        path="/modalities/silent/store",
        aspect="body/Details",
        when=lambda ours, theirs: str(ours).endswith("the peer is silent") and str(theirs).startswith(_CONNECTING),
    ),
    Accepted(
        why="instances that did not arrive are counted; 1.12.7 counts none of them where no association came about",
        source="OpenAPI 1.12.11, POST /modalities/{id}/store: Permissive ignores errors, it does not deny them",
        method="POST",
        path="/modalities/dead/store",
        aspect="body/FailedInstancesCount",
        when=lambda ours, theirs: (ours, theirs) == (3, 0),
    ),
    Accepted(
        why="an asynchronous job waits for a modality that cannot be reached, and tries again",
        source="docs/jobs.md, Retry",
        path=r"/jobs/\{job\}",
        aspect="body/(State|CompletionTime)",
        when=lambda ours, theirs: (ours, theirs) in {("Retry", "Failure"), (..., "<varies>")},
    ),
    Accepted(
        why="a job that was cancelled has been cancelled at once, whatever its last step comes to",
        source="docs/jobs.md, States",
        path=r"/jobs/\{job\}",
        aspect="body/Error(Code|Description|Details)",
        when=lambda ours, theirs: (
            (ours, theirs) in {(37, 9), ("This job was canceled", "Error in the network protocol")}
            or (not ours and str(theirs).startswith(_CONNECTING))
        ),
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


def _without(answers: list[Answer], tag: str) -> list[Answer]:
    return [{each: value for each, value in answer.items() if each != tag} for answer in answers]


def _read_anew(answers: list[Answer]) -> list[Answer]:
    """Orthanc's answers with what it shows as escape sequences as it was meant, as far as the answer's set has it."""
    whole = {"ﾔﾏﾀﾞ^ﾀﾛｳ=;3ED^B@O:=$d$^$@^$?$m$&": "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう", "^=;3ED^B@O:=$d$^$@^$?$m$&": "^=^=^"}
    return [{tag: whole.get(str(value), value) for tag, value in answer.items()} for answer in answers]


def _same_without(tag: str) -> Callable[[str, list[Answer], str, list[Answer]], bool]:
    """Equal but for one tag."""
    return lambda status, ours, other, theirs: (
        status == other and sorted(_without(ours, tag), key=repr) == sorted(_without(theirs, tag), key=repr)
    )


ACCEPTED_FINDS: tuple[AcceptedFind, ...] = (
    AcceptedFind(
        why="where to retrieve from is told also when it is asked for; 1.12.7 tells it only when it is not",
        source="PS3.4 C.4.1.1.3.2: each response has the Retrieve AE Title",
        query="retrieve title asked for",
        when=lambda status, ours, other, theirs: (
            status == other
            and [answer["00080054"] for answer in ours] == ["PEER"]
            and _same_without("00080054")(status, ours, other, theirs)
        ),
    ),
    AcceptedFind(
        why="an attribute that has no meaning at a level is told empty, as all others are; 1.12.7 fails",
        source="PS3.4 C.2.2.1.3: an optional key that is not supported is answered with zero length",
        query="classes at image level",
        when=lambda status, ours, other, _: (
            (status, other) == ("0000", "c000") and {answer["00080062"] for answer in ours} == {""}
        ),
    ),
    AcceptedFind(
        why="wildcards work in ModalitiesInStudy; in 1.12.7 they match nothing there",
        source="PS3.4 C.2.2.2.4 with C.3.4: a CS is matched by wildcards",
        query="modality in study by wildcard",
        when=lambda status, ours, other, theirs: (
            status == other and not theirs and all("C" in str(a["00080061"]) for a in ours)
        ),
    ),
    AcceptedFind(
        why="a study with several SOP classes matches each of them; in 1.12.7 only a list of classes finds it",
        source="PS3.4 C.3.4, Table C.3-3: SOP Classes in Study; C.2.2.2.2",
        query="class in study",
        when=lambda status, ours, other, theirs: (
            status == other
            and all(answer in ours for answer in theirs)
            and all(str(answer["00080062"]).startswith("[") for answer in ours if answer not in theirs)
        ),
    ),
    AcceptedFind(
        why="text that DefaultEncoding lacks is in the set that the query declares; 1.12.7 leaves characters out",
        source="PS3.4 C.4.1.1.3.2: the set of a response may be that of the request",
        query="name in japanese",
        when=lambda status, ours, other, theirs: (
            status == other
            and {answer["00080005"] for answer in ours} == {"ISO_IR 192"}
            # That of one is in several sets, of which 1.12.7 reads the first.
            and {str(answer["00100020"]) for answer in ours} - {str(answer["00100020"]) for answer in theirs}
            <= {"H32EXAMPLE"}
            and all(any(answer["00100020"] == other["00100020"] for other in ours) for answer in theirs)
        ),
    ),
    AcceptedFind(
        why="text of more than 256 bytes is in no index; 1.12.7 reads it from the file at its own level, and not at others",
        source="PS3.5 Table 6.2-1: LO has 64 characters at most; observed on 1.12.7 at study, series and image level",
        query="all studies",
        when=lambda status, ours, other, theirs: (
            _same_without("00081030")(status, ours, other, _read_anew(theirs))
            and [len(str(a["00081030"])) for a in _read_anew(theirs) if a not in ours] == [300]
        ),
    ),
    AcceptedFind(
        why="text in several character sets is read as it was written; 1.12.7 shows escape sequences",
        source="PS3.5 §6.1.2.5.3: code extension",
        query="name with groups|all (studies in utf8|series|instances)",
        when=lambda status, ours, other, theirs: (
            status == other and sorted(ours, key=repr) == sorted(_read_anew(theirs), key=repr)
        ),
    ),
    AcceptedFind(
        why="a name in several character sets is found by what is written in it; 1.12.7 has escape sequences for it",
        source="PS3.5 §6.1.2.5.3: code extension",
        query="japanese name",
        when=lambda status, ours, other, theirs: (
            status == other
            and all(answer in ours for answer in theirs)
            and [answer["00100020"] for answer in ours if answer not in theirs] == ["H32EXAMPLE"]
        ),
    ),
    AcceptedFind(
        why="a backslash parts values, also beside JIS X 0201; 1.12.7 makes one value of a list, with yen signs",
        source="PS3.5 §6.1.2.3, note on the yen sign",
        query="image type",
        when=lambda status, ours, other, theirs: (
            _same_without("00080008")(status, ours, other, theirs)
            and [str(a["00080008"]).split("¥") for a in theirs if a not in ours]
            == [["ORIGINAL", "PRIMARY", "AXIAL", "NORMAL"]]
        ),
    ),
    AcceptedFind(
        why="sequences are matched and told; 1.12.7 ignores them as keys, and leaves those out that a resource has",
        source="PS3.4 C.2.2.2.6",
        query="sequence",
        when=lambda status, ours, other, theirs: (
            _same_without("00081032")(status, ours, other, theirs)
            and sum("00081032" not in answer for answer in theirs)
            == sum(answer["00081032"] != [] for answer in ours)
            == 1
        ),
    ),
    AcceptedFind(
        why="sequences are matched and told; 1.12.7 ignores them as keys, and leaves those out that a resource has",
        source="PS3.4 C.2.2.2.6",
        query="sequence as a key",
        when=lambda status, ours, other, theirs: (
            status == other
            and [answer["00081032"] for answer in ours] == [[{"00080100": "T-D1100"}]]
            and len(theirs) > 1
        ),
    ),
    AcceptedFind(
        why="sequences are matched; 1.12.7 ignores them as keys",
        source="PS3.4 C.2.2.2.6",
        query="sequence as a key of nothing",
        when=lambda status, ours, other, theirs: status == other and not ours and bool(theirs),
    ),
)
