"""What the configuration says about the DICOM server, as plain frozen values; read anew for each association."""

from dataclasses import dataclass

from actors.services.remote.modality import Modality, Operation
from actors.wire.tls import TlsSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class FindSettings:
    """The options of C-FIND."""

    default_encoding: str = "Latin1"  # DefaultEncoding: of answers, and of queries that declare none
    case_sensitive_pn: bool = False  # CaseSensitivePN
    limit_results: int = 0  # LimitFindResults: patients, studies or series; 0: all
    limit_instances: int = 0  # LimitFindInstances
    reads_files: bool = True  # StorageAccessOnFind is not "Never"


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomSettings:
    """The options of the DICOM server; the defaults are Orthanc's where it has the option."""

    aet: str = "ORTHANC"  # DicomAet
    check_called_aet: bool = False  # DicomCheckCalledAet
    strict_aet_comparison: bool = False  # StrictAetComparison: upper and lower case differ
    accepted_transfer_syntaxes: tuple[str, ...] = ("1.2.840.10008.1.*",)  # AcceptedTransferSyntaxes, for storage alone
    unknown_sop_class_accepted: bool = False  # UnknownSopClassAccepted
    accepted_sop_classes: tuple[str, ...] = ()  # AcceptedSopClasses; empty: all storage classes
    rejected_sop_classes: tuple[str, ...] = ()  # RejectedSopClasses; Orthanc 1.12.7 reads `RejectSopClasses` instead
    modalities: tuple[Modality, ...] = ()  # DicomModalities, as /modalities has changed them
    always_allowed: frozenset[Operation] = frozenset({Operation.ECHO, Operation.STORE})  # DicomAlwaysAllow…
    check_modality_host: bool = False  # DicomCheckModalityHost
    scp_timeout_s: float = 30  # DicomScpTimeout: the longest silence in an association; 0: none
    maximum_pdu_length: int = 16384  # MaximumPduLength: of the P-DATA PDUs we take, in bytes
    tls: TlsSettings | None = None  # DicomTlsEnabled and its options; None: plain TCP
    find: FindSettings = FindSettings()
    synchronous_move: bool = True  # SynchronousCMove: the peer waits for all sub-operations; else they are a job
    threads_count: int = 4  # DicomThreadsCount: operations at work at once, see `server`
    maximum_associations: int = 200  # DicomMaximumAssociations, of all gateways: beyond it peers are told to come back
    deidentify_logs: bool = True  # DeidentifyLogs: what peers ask for is logged without values that may name a patient
    artim_timeout_s: float = 30  # no option: for a request to arrive in full (PS3.8 §9.1.4)
