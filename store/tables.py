"""The tables of the LMDB environment and the bytes of their keys.

Integers in keys are big-endian, so that byte order is numeric order. Rows of the read models are projected from the
log and nothing else; the tables of `NON_EVENT` hold what is not, and replay leaves them out of its comparison.
"""

import hashlib
from enum import IntEnum
from struct import Struct

from events.identifiers import Ref, Seq

U64 = Struct(">Q")
U32 = Struct(">I")
LEVEL_REF = Struct(">BQ")

# The log.
EVENTS = b"events"  # seq -> envelope/1 (events.envelope)
PERSONAL = b"personal"  # seq -> [salt, payload]
LOG = frozenset({EVENTS, PERSONAL})

# What is no fact of the archive: positions, leases, transient settings, work lists of what is being removed.
META = b"meta"  # name -> value: format, clean flag, mark of the archive
CURSORS = b"cursors"  # consumer -> seq it has dealt with
SETTINGS = b"settings"  # runtime settings that REST changed; emptied at boot
LEASES = b"leases"  # blob folder -> who writes into it
CONDEMNED = b"condemned"  # blob -> seq of the event that condemned it; rows go when the file is gone
NEXT_FOLDER = b"next-folder"  # in META: the number of the next blob folder
NON_EVENT = frozenset({META, CURSORS, SETTINGS, LEASES, CONDEMNED})

# The read models; each projection declares which are its own (store.projections.projection).
PATIENTS = b"patients"  # ref -> what never changes (store.projections.rows)
STUDIES = b"studies"
SERIES = b"series"
INSTANCES = b"instances"
IDS = b"ids"  # 20-byte identifier -> level, ref
ID_COUNTS = b"id-counts"  # level + first byte of an identifier -> how many (store.projections.id_counts)
AGGREGATES = b"aggregates"  # ref of a patient, study or series -> its counters
CHILDREN = b"children"  # parent ref + child ref -> b""
CHANGES = b"changes"  # seq -> row of /changes, NewInstance excepted
CHANGES_BY_TYPE = b"changes-by-type"  # type + seq -> b""
CHANGES_OF = b"changes-of"  # ref + seq -> b""; changes of a resource other than its creation
LOOKUP = b"lookup"  # kind + normalised DICOM identifier + ref -> b""
FIND = b"find"  # kind + text of a main tag + ref -> b"", for queries (store.projections.find)
LABELS = b"labels"  # ref + label -> b""
LABELLED = b"labelled"  # label + zero byte + ref -> level of that resource
RECYCLING = b"recycling"  # seq of a patient's newest instance, or of when it was unprotected -> its ref
PLACES = b"places"  # ref of a patient -> its key in `recycling`
PROTECTED = b"protected"  # ref of a patient that is not in `recycling` -> b""
METADATA = b"metadata"  # ref + number -> what a client has set there (store.projections.metadata)
METADATA_BYTES = b"metadata-bytes"  # ref -> how many bytes the values have together that clients have set there
MAIN_TAGS = b"main-tags"  # seq -> the main DICOM tags of what came behind it (store.projections.main_tags)
TOLD_ANEW = b"told-anew"  # ref -> seq of the event that told its main tags, where that is not its own
ATTACHMENTS = b"attachments"  # ref + number -> a file beside the resource (store.projections.attachments)
ATTACHED = b"attached"  # ref -> sizes of all attachments of the resource and of those below it
BLOBS = b"blobs"  # blob -> its owner: ref of an instance or a job, or the key of a row in `attachments`
DAMAGED_FILES = (
    b"damaged-files"  # the owner, as in `blobs`, of a file that is damaged -> what is wrong (store.projections.files)
)
TOMBSTONES = b"tombstones"  # deleted ref whose rows are not all purged -> level, seq of the deletion, aggregate
UNSTABLE = (
    b"unstable"  # ref of a patient, study or series that waits for StableAge -> since when, or b"": its last update
)
TOUCHES = b"touches"  # identifier + seq -> b"": events of a resource (store.projections.history)
JOBS = b"jobs"  # ref of a job -> what never changes
JOB_PROGRESS = b"job-progress"  # ref of a job -> a row of fixed size
JOB_IDS = b"job-ids"  # UUID -> ref of the job
JOB_FAILURES = b"job-failures"  # ref of a job + step -> the error that was passed over
JOB_OUTPUTS = b"job-outputs"  # ref of a job + key -> its file
JOBS_COMPLETED = b"jobs-completed"  # seq of the completion + ref of the job -> b""
EXPORTS = b"exports"  # seq -> row of /exports
MODALITIES = b"modalities"  # name -> a modality that REST has stored
COMMITMENTS = (
    b"commitments"  # seq of the request -> a transaction of storage commitment (store.projections.commitments)
)
COMMITMENT_IDS = b"commitment-ids"  # UID of the transaction -> its key in `commitments`
WORKLISTS = b"worklists"  # UUID -> an entry of the modality worklist that a client has made
PEERS = b"peers"  # name -> a peer that REST has stored
DICOMWEB_SERVERS = b"dicomweb-servers"  # name -> a DICOMweb server that REST has stored
CALLBACKS_WAITING = b"callbacks-waiting"  # seq of the cause + number -> a failed callback that is to be called again
CALLBACK_FAILURES = b"callback-failures"  # seq of the failure -> b"": the newest few
KEY_VALUES = b"key-values"  # store + key -> what a script keeps there
TOTALS = b"totals"  # name -> counters of the whole archive; the end of the log (store.log)

MAX_KEY_BYTES = 511  # LMDB's limit
# A longer value is cut and told apart by its hash.
LOOKUP_VALUE_BYTES = 200


class LookupKind(IntEnum):
    """Which DICOM identifier a row of `lookup` holds; the first four are the levels that they name."""

    PATIENT_ID = 1
    STUDY_INSTANCE_UID = 2
    SERIES_INSTANCE_UID = 3
    SOP_INSTANCE_UID = 4
    ACCESSION_NUMBER = 5


class FindKind(IntEnum):
    """Which main tag a row of `find` holds, and of which level's resources."""

    PATIENT_NAME = 1  # of patients
    STUDY_PATIENT_NAME = 2  # of studies, as each has it
    STUDY_BIRTH_DATE = 3
    STUDY_DATE = 4
    STUDY_DESCRIPTION = 5
    STUDY_REFERRER = 6
    MODALITY = 7  # of series; the ref of the study stands before that of the series


def key(number: int) -> bytes:
    """Return a Seq or Ref as a key."""
    return U64.pack(number)


def child_key(parent: Ref, child: Ref) -> bytes:
    return U64.pack(parent) + U64.pack(child)


def typed_change_key(change_type: int, seq: Seq) -> bytes:
    return bytes((change_type,)) + U64.pack(seq)


def change_of_key(resource: Ref, seq: Seq) -> bytes:
    return U64.pack(resource) + U64.pack(seq)


def metadata_key(resource: Ref, number: int) -> bytes:
    return U64.pack(resource) + U32.pack(number)


def attachment_key(resource: Ref, number: int) -> bytes:
    return U64.pack(resource) + U32.pack(number)


def is_attachment_key(owner: bytes) -> bool:
    """Tell whether the owner of a file is a row of `attachments`, not an instance or a job."""
    return len(owner) == U64.size + U32.size


def read_attachment_key(row_key: bytes) -> tuple[Ref, int]:
    """Return the resource and the number of an attachment."""
    return Ref(U64.unpack_from(row_key)[0]), U32.unpack_from(row_key, U64.size)[0]


def touch_key(resource_id: bytes, seq: Seq) -> bytes:
    return resource_id + U64.pack(seq)


def label_key(resource: Ref, label: str) -> bytes:
    return U64.pack(resource) + label.encode()


def labelled_key(label: str, resource: Ref) -> bytes:
    return label.encode() + b"\0" + U64.pack(resource)


def job_failure_key(job: Ref, step: int) -> bytes:
    return U64.pack(job) + U32.pack(step)


def job_output_key(job: Ref, name: str) -> bytes:
    return U64.pack(job) + cut_value(name.encode())


def completed_job_key(seq: Seq, job: Ref) -> bytes:
    return U64.pack(seq) + U64.pack(job)


def callback_key(cause_seq: int, number: int) -> bytes:
    return U64.pack(cause_seq) + U32.pack(number)


def read_callback_key(row_key: bytes) -> tuple[int, int]:
    """Return the sequence of the cause and the number of the callback."""
    return U64.unpack_from(row_key)[0], U32.unpack_from(row_key, U64.size)[0]


def key_value_key(store: bytes, name: bytes) -> bytes:
    """Return the key of a value. Raises ValueError for what is too long for one."""
    row_key = bytes((len(store),)) + store + name
    if len(row_key) > MAX_KEY_BYTES:
        raise ValueError("too long")
    return row_key


def remote_key(name: str) -> bytes:
    """Return the key of a modality, peer or DICOMweb server; a long name is cut and told apart by its hash."""
    return cut_value(name.encode())


def lookup_prefix(kind: LookupKind, value: str) -> bytes:
    """Return the key of a looked-up value without its ref; the value is compared as Orthanc normalises identifiers."""
    return bytes((kind,)) + cut_value(normalize_identifier(value).encode()) + b"\0"


def normalize_identifier(value: str) -> str:
    """Return an identifier in the form in which it is compared: no padding, upper case."""
    return value.strip(" \0").upper()


def find_prefix(kind: FindKind, value: str) -> bytes:
    """Return the key of a value in `find` without its ref; the value as the projection has folded it."""
    return bytes((kind,)) + cut_value(value.encode()) + b"\0"


def cut_value(raw: bytes) -> bytes:
    """Return a value as an index key can hold it: of a long one the beginning, told apart by a hash."""
    if len(raw) <= LOOKUP_VALUE_BYTES:
        return raw
    return raw[:LOOKUP_VALUE_BYTES] + hashlib.sha256(raw).digest()
