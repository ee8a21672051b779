"""One event of every type with fixed values, and the envelope in which its sample in `events/` was written.

The samples are the promise that old logs stay readable: files are only added to `events/`, never changed. After a new
event type or a new tag was given its event below, `python -m tests.golden.samples` writes the files that are missing.
An event whose tag has been superseded stays here in today's form: what its old bytes are read as.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from events import envelope
from events.attachments import (
    AttachmentDamaged,
    AttachmentMade,
    AttachmentRecovered,
    AttachmentRemoved,
    AttachmentRepacked,
    AttachmentSet,
)
from events.commitments import CommitmentForgotten, CommitmentReported, CommitmentRequested
from events.derivation import ResourceDerived
from events.dicomweb_servers import (
    DicomWebServerChanged,
    DicomWebServerDropped,
    DicomWebServerRemoved,
    DicomWebServerStored,
)
from events.event import Event
from events.files import FileDamaged, FileHealed, FileRecovered
from events.identifiers import BlobId, Level, Ref, ResourceId
from events.jobs import (
    JobCancelled,
    JobFailed,
    JobForgotten,
    JobInterrupted,
    JobOutputAdded,
    JobOutputDropped,
    JobPaused,
    JobResubmitted,
    JobResumed,
    JobRetryScheduled,
    JobStarted,
    JobStepFinished,
    JobSubmitted,
    JobSucceeded,
)
from events.labels import LabelAdded, LabelRemoved
from events.metadata import MetadataRemoved, MetadataSet
from events.peers import PeerChanged, PeerDropped, PeerRemoved, PeerStored
from events.protection import PatientProtected, PatientUnprotected
from events.reconstruction import InstanceReconstructed, TagsReconstructed
from events.resources import (
    InstanceReceivedAgain,
    InstanceStored,
    PatientCreated,
    ResourceDeleted,
    ResourceStabilized,
    ResourceUnsettled,
    RowsPurged,
    SeriesCompleted,
    SeriesCreated,
    StudyCreated,
)
from events.scripts import CallbackFailed, CallbackRecovered, CallbackSkipped, KeyValueDeleted, KeyValueStored
from events.server import (
    AnonymousNameDrawn,
    ChangesCleared,
    ExportsCleared,
    MainTagsChosen,
    ModalityChanged,
    ModalityDropped,
    ModalityRemoved,
    ModalityStored,
    ResourceExported,
)
from events.stored_file import Compression
from events.worklists import WorklistRemoved, WorklistStored

FOLDER = Path(__file__).parent / "events"

SEQ = 300
AT_US = 1_700_000_000_123_456
AGGREGATE = bytes(range(0x10, 0x18))
ACTOR = "ingest"
CORRELATION = bytes(range(0x20, 0x28))
PREVIOUS_HASH = bytes(range(0x40, 0x60))
SALT = bytes(range(0x60, 0x70))

ID = ResourceId(bytes(range(1, 21)))
OTHER_ID = ResourceId(bytes(range(101, 121)))
JOB_ID = bytes(range(0xC0, 0xD0))

_STORED = InstanceStored(
    series=Ref(301),
    study=Ref(302),
    patient=Ref(70_000),
    blob=BlobId(bytes(range(0x80, 0x90))),
    size_bytes=5_000_000_000,
    transfer_syntax="1.2.840.10008.1.2.4.70",
    sop_class="1.2.840.10008.5.1.4.1.1.4",
    pixel_data_offset=1_234,
    pixel_data_vr="OB",
    index_in_series=None,
    origin="DicomProtocol",
    id=ID,
    tags={0x00080018: "1.2.3.4", 0x00200013: "7", 0x00204000: "vue d'été"},
    md5=bytes(range(0xA0, 0xB0)),
    remote_ip="192.0.2.7",
    remote_aet="MODALITY",
    called_aet="SINOGRAM",
    username="",
)
_HEALED = FileHealed(
    instance=Ref(300),
    damaged=BlobId(bytes(range(0x80, 0x90))),
    blob=BlobId(bytes(range(0x90, 0xA0))),
    size_bytes=5_000_000_000,
    transfer_syntax="1.2.840.10008.1.2.4.70",
    sop_class="1.2.840.10008.5.1.4.1.1.4",
    pixel_data_offset=1_234,
    pixel_data_vr="OB",
    index_in_series=None,
    origin="DicomProtocol",
    id=ID,
    tags={0x00080018: "1.2.3.4"},
    md5=bytes(range(0xA0, 0xB0)),
    remote_ip="192.0.2.7",
    remote_aet="MODALITY",
    called_aet="SINOGRAM",
    username="",
)

EVENTS: dict[str, Event] = {
    "instance-stored/1": _STORED,
    "instance-stored/2": replace(_STORED, compression=1, packed_bytes=70_000, packed_md5=bytes(range(0xB0, 0xC0))),
    "series-created/1": SeriesCreated(
        study=Ref(302),
        patient=Ref(70_000),
        expected_instances=200,
        id=ID,
        tags={0x0020000E: "1.2.3", 0x00080060: "MR"},
    ),
    "study-created/1": StudyCreated(
        patient=Ref(303),
        id=ID,
        tags={0x0020000D: "1.2", 0x00080050: "A1"},
        patient_tags={0x00100020: "P1", 0x00100010: "山田^太郎"},
    ),
    "patient-created/1": PatientCreated(id=ID, tags={0x00100020: "P1", 0x00100010: "Doe^Jane"}),
    "resource-derived/1": ResourceDerived(
        level=Level.STUDY, resource=Ref(7), is_anonymization=True, id=ID, source=OTHER_ID
    ),
    "anonymous-name-drawn/1": AnonymousNameDrawn(number=12),
    "metadata-set/1": MetadataSet(
        level=Level.STUDY,
        resource=Ref(302),
        number=1024,
        old_revision=None,
        revision=0,
        id=ID,
        old_value=None,
        value="vu d'été".encode(),
    ),
    "metadata-removed/1": MetadataRemoved(
        level=Level.INSTANCE, resource=Ref(300), number=65535, old_revision=7, id=ID, old_value=b"\xff\0"
    ),
    "attachment-set/1": AttachmentSet(
        level=Level.STUDY,
        resource=Ref(302),
        number=1024,
        old_revision=None,
        revision=0,
        id=ID,
        blob=BlobId(bytes(range(0x80, 0x90))),
        size_bytes=0,
        md5=bytes(range(0xA0, 0xB0)),
    ),
    "attachment-removed/1": AttachmentRemoved(
        level=Level.PATIENT, resource=Ref(303), number=65535, old_revision=7, id=ID
    ),
    "attachment-made/1": AttachmentMade(
        level=Level.INSTANCE,
        resource=Ref(300),
        number=3,
        blob=BlobId(bytes(range(0x80, 0x90))),
        size_bytes=5_000,
        md5=bytes(range(0xA0, 0xB0)),
        compression=1,
        packed_bytes=700,
        packed_md5=bytes(range(0xB0, 0xC0)),
    ),
    "attachment-repacked/1": AttachmentRepacked(
        level=Level.INSTANCE,
        resource=Ref(300),
        number=1,
        replaced=BlobId(bytes(range(0x90, 0xA0))),
        id=ID,
        blob=BlobId(bytes(range(0x80, 0x90))),
        size_bytes=5_000_000_000,
        md5=bytes(range(0xA0, 0xB0)),
        compression=Compression.ZLIB,
        packed_bytes=70_000,
        packed_md5=bytes(range(0xB0, 0xC0)),
    ),
    "attachment-damaged/1": AttachmentDamaged(
        level=Level.SERIES,
        resource=Ref(301),
        number=1030,
        blob=BlobId(bytes(range(0x80, 0x90))),
        kind="missing",
        found_bytes=None,
    ),
    "attachment-recovered/1": AttachmentRecovered(
        level=Level.SERIES, resource=Ref(301), number=1030, blob=BlobId(bytes(range(0x80, 0x90)))
    ),
    "series-completed/1": SeriesCompleted(series=Ref(5)),
    "resource-stabilized/1": ResourceStabilized(level=Level.STUDY, resource=Ref(302)),
    "resource-deleted/1": ResourceDeleted(
        level=Level.PATIENT,
        resource=Ref(303),
        requested_level=Level.SERIES,
        requested=Ref(301),
        id=ID,
        requested_id=OTHER_ID,
        remote_ip="2001:db8::1",
        username="admin",
    ),
    "resource-deleted/2": ResourceDeleted(
        level=Level.PATIENT,
        resource=Ref(303),
        requested_level=Level.SERIES,
        requested=Ref(301),
        reason="MaximumPatientCount",
        id=ID,
        requested_id=OTHER_ID,
        remote_ip="2001:db8::1",
        username="admin",
    ),
    "rows-purged/1": RowsPurged(resource=Ref(303), limit=250, deleted=[]),
    "rows-purged/2": RowsPurged(
        resource=Ref(303), limit=250, deleted=[[Level.INSTANCE, ID], [Level.SERIES, OTHER_ID], [Level.STUDY, ID]]
    ),
    "instance-reconstructed/1": InstanceReconstructed(
        instance=Ref(300),
        transfer_syntax="1.2.840.10008.1.2.1",
        sop_class="1.2.840.10008.5.1.4.1.1.4",
        pixel_data_offset=None,
        pixel_data_vr="",
        index_in_series=7,
        id=ID,
        tags={0x00080018: "1.2.3.4", 0x0040A730: "\0[]"},
    ),
    "tags-reconstructed/1": TagsReconstructed(
        level=Level.STUDY,
        resource=Ref(302),
        instance=Ref(300),
        id=ID,
        tags={0x0020000D: "1.2"},
        patient_tags={0x00100020: "P1"},
    ),
    "instance-received-again/1": InstanceReceivedAgain(
        instance=Ref(300),
        origin="DicomProtocol",
        id=ID,
        remote_ip="192.0.2.7",
        remote_aet="MODALITY",
        called_aet="SINOGRAM",
        username="",
    ),
    "resource-unsettled/1": ResourceUnsettled(level=Level.SERIES, resource=Ref(301)),
    "patient-protected/1": PatientProtected(patient=Ref(303), remote_ip="192.0.2.7", username="admin"),
    "patient-unprotected/1": PatientUnprotected(patient=Ref(70_000), remote_ip="", username=""),
    "label-added/1": LabelAdded(
        level=Level.STUDY, resource=Ref(302), label="Doe-Jane_2", remote_ip="192.0.2.7", username="admin"
    ),
    "label-removed/1": LabelRemoved(level=Level.INSTANCE, resource=Ref(70_000), label="7", remote_ip="", username=""),
    "changes-cleared/1": ChangesCleared(),
    "exports-cleared/1": ExportsCleared(),
    "resource-exported/1": ResourceExported(
        level=Level.SERIES,
        modality="PACS",
        id=ID,
        patient_id="P1",
        study_instance_uid="1.2",
        series_instance_uid="1.2.3",
        sop_instance_uid="",
    ),
    "main-tags-chosen/1": MainTagsChosen(tags={1: [0x00100010, 0x00100020], 2: [0x0020000D], 3: [], 4: [0x00080018]}),
    "modality-stored/1": ModalityStored(
        name="pacs",
        port=104,
        manufacturer="Generic",
        allowed=["Echo", "Store"],
        allow_transcoding=True,
        use_tls=False,
        timeout_s=70_000,
        retrieve_method="C-GET",
        aet="PACS",
        host="192.0.2.7",
        local_aet="",
    ),
    "modality-removed/1": ModalityRemoved(name="pacs"),
    "modality-changed/1": ModalityChanged(
        name="pacs",
        port=104,
        manufacturer="GE",
        allowed=[],
        allow_transcoding=False,
        use_tls=True,
        timeout_s=0,
        retrieve_method="C-MOVE",
        aet="PACS",
        host="192.0.2.7",
        local_aet="ME",
    ),
    "modality-dropped/1": ModalityDropped(name="pacs"),
    "peer-stored/1": PeerStored(
        name="other",
        timeout_s=70,
        pkcs11=False,
        certificate="/keys/us.pem",
        private_key="/keys/us.key",
        url="https://192.0.2.7/",
        username="admin",
        properties={"RemoteSelf": "me"},
        password="secret",
        headers={"Token": "t"},
        private_key_password="key",
    ),
    "peer-removed/1": PeerRemoved(name="other"),
    "peer-changed/1": PeerChanged(
        name="other",
        timeout_s=0,
        pkcs11=True,
        certificate="",
        private_key="",
        url="http://192.0.2.7/",
        username="",
        properties={},
    ),
    "peer-dropped/1": PeerDropped(name="other"),
    "dicomweb-server-stored/1": DicomWebServerStored(
        name="cloud",
        timeout_s=70,
        pkcs11=False,
        certificate="/keys/us.pem",
        private_key="/keys/us.key",
        url="https://192.0.2.7/dicom-web/",
        username="admin",
        properties={"HasDelete": "1"},
        password="secret",
        headers={"Token": "t"},
        private_key_password="key",
    ),
    "dicomweb-server-removed/1": DicomWebServerRemoved(name="cloud"),
    "dicomweb-server-changed/1": DicomWebServerChanged(
        name="cloud",
        timeout_s=0,
        pkcs11=True,
        certificate="",
        private_key="",
        url="http://192.0.2.7/dicom-web/",
        username="",
        properties={},
    ),
    "dicomweb-server-dropped/1": DicomWebServerDropped(name="cloud"),
    "commitment-requested/1": CommitmentRequested(
        transaction="2.25.70000", remote_aet="PACS", references=[["1.2.840.10008.5.1.4.1.1.4", "1.2.3"]]
    ),
    "commitment-reported/1": CommitmentReported(
        transaction="2.25.70000",
        remote_aet="PACS",
        succeeded=[["1.2.840.10008.5.1.4.1.1.4", "1.2.3"]],
        failed=[["1.2.840.10008.5.1.4.1.1.4", "1.2.4", 0x0112]],
    ),
    "commitment-forgotten/1": CommitmentForgotten(transaction="2.25.70000"),
    "worklist-stored/1": WorklistStored(
        id="4f0e0f5a-0000-4000-8000-000000000007",
        tags={0x00100020: "P7", 0x00400100: [{0x00080060: "CT"}]},
        remote_ip="192.0.2.7",
        username="alice",
    ),
    "worklist-removed/1": WorklistRemoved(
        id="4f0e0f5a-0000-4000-8000-000000000007", reason="age", remote_ip="", username=""
    ),
    "job-submitted/1": JobSubmitted(
        id=JOB_ID,
        type="DicomModalityStore",
        priority=7,
        steps=1_000,
        step_timeout_s=70,
        attempts=3,
        plan={"remote": "PACS", "instances": [301, 70_000], "is_permissive": 0},
        user_data='{"a":1}',
    ),
    "job-started/1": JobStarted(job=Ref(400), run=1),
    "job-step-finished/1": JobStepFinished(job=Ref(400), step=999, code=0),
    "job-output-added/1": JobOutputAdded(
        job=Ref(400),
        key="archive",
        blob=BlobId(bytes(range(0x80, 0x90))),
        size_bytes=5_000_000_000,
        media_type="application/zip",
        filename="Doe.zip",
    ),
    "job-output-dropped/1": JobOutputDropped(job=Ref(400), key="archive"),
    "job-interrupted/1": JobInterrupted(job=Ref(400), is_crash=True),
    "job-paused/1": JobPaused(job=Ref(400)),
    "job-resumed/1": JobResumed(job=Ref(400)),
    "job-cancelled/1": JobCancelled(job=Ref(400)),
    "job-retry-scheduled/1": JobRetryScheduled(job=Ref(400), delay_ms=2_000, code=9, details="refused by PACS"),
    "job-succeeded/1": JobSucceeded(job=Ref(400), result={"ID": "x", "Count": 2}),
    "job-failed/1": JobFailed(job=Ref(400), code=9, details="refused by PACS"),
    "job-resubmitted/1": JobResubmitted(job=Ref(400)),
    "job-forgotten/1": JobForgotten(job=Ref(400)),
    "callback-failed/1": CallbackFailed(
        cause_seq=300,
        number=2,
        callback="OnStoredInstance",
        attempt=1,
        delay_ms=5_000,
        cause="error",
        message="no such patient: Doe^Jane",
    ),
    "callback-recovered/1": CallbackRecovered(cause_seq=300, number=2, callback="OnStoredInstance", attempt=3),
    "callback-skipped/1": CallbackSkipped(cause_seq=70_000, number=0, callback="OnDeletedStudy", attempts=3),
    "key-value-stored/1": KeyValueStored(store=b"routing", key=b"last", value=b"\x00\xff\n"),
    "key-value-deleted/1": KeyValueDeleted(store=b"", key=b"last"),
    "file-damaged/1": FileDamaged(
        instance=Ref(300), blob=BlobId(bytes(range(0x80, 0x90))), kind="truncated", found_bytes=70_000
    ),
    "file-recovered/1": FileRecovered(instance=Ref(300), blob=BlobId(bytes(range(0x80, 0x90)))),
    "file-healed/1": _HEALED,
    "file-healed/2": replace(_HEALED, compression=1, packed_bytes=70_000, packed_md5=bytes(range(0xB0, 0xC0))),
}


def path_of(tag: str) -> Path:
    """Return where the sample of a tag lies."""
    return FOLDER / f"{tag.replace('/', '-')}.json"


def encode(event: Event) -> envelope.Encoded:
    """Encode an event in the samples' envelope."""
    return envelope.encode(
        event,
        at_us=AT_US,
        aggregate=AGGREGATE,
        actor=ACTOR,
        correlation=CORRELATION,
        previous_hash=PREVIOUS_HASH,
        salt=lambda count: SALT[:count],
    )


def read(tag: str) -> tuple[bytes, bytes | None]:
    """Return row and personal row of a tag's sample."""
    sample: dict[str, Any] = json.loads(path_of(tag).read_text())
    personal = sample["personal_row"]
    return bytes.fromhex(sample["row"]), None if personal is None else bytes.fromhex(personal)


def write_missing() -> list[Path]:
    """Write the samples that do not exist; returns their paths."""
    written = []
    for tag, event in EVENTS.items():
        path = path_of(tag)
        if tag == event.TAG and not path.exists():
            encoded = encode(event)
            personal = None if encoded.personal_row is None else encoded.personal_row.hex()
            path.write_text(
                json.dumps({"tag": tag, "row": encoded.row.hex(), "personal_row": personal}, indent=2) + "\n"
            )
            written.append(path)
    return written


if __name__ == "__main__":
    for new in write_missing():
        print(new)
