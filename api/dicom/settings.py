"""The DICOM server's part of the configuration, as plain frozen values; read again for each association."""

from dataclasses import dataclass

from actors.messages.worklist_settings import WORKLISTS, WorklistSettings
from actors.services.ingest.settings import IngestSettings
from actors.services.remote.modality import Modality, Operation
from actors.services.remote.target import ScuSettings
from actors.wire.tls import TlsSettings
from events.numbered_warnings import WARNINGS
from events.options import Boolean, Choice, Option, Texts, Whole, filled_by, same_as


@dataclass(frozen=True, slots=True, kw_only=True)
class FindSettings:
    """The options of C-FIND."""

    default_encoding: str = same_as(IngestSettings, "default_encoding")  # of answers, and of queries that declare none
    case_sensitive_pn: bool = filled_by(Option("CaseSensitivePN", Boolean(), default=False))
    limit_results: int = filled_by(Option("LimitFindResults", Whole(), 0))  # patients, studies or series; 0: all
    limit_instances: int = filled_by(Option("LimitFindInstances", Whole(), 0))
    reads_files: bool = filled_by(
        Option("StorageAccessOnFind", Choice(("Always", "Answers", "Never")), "Always", convert="Never".__ne__)
    )
    warnings: frozenset[str] = filled_by(WARNINGS)


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomSettings:
    """The options of the DICOM server; the defaults are Orthanc's where it has the option."""

    aet: str = same_as(ScuSettings, "aet")
    check_called_aet: bool = filled_by(Option("DicomCheckCalledAet", Boolean(), default=False))
    # Upper and lower case differ.
    strict_aet_comparison: bool = filled_by(Option("StrictAetComparison", Boolean(), default=False))
    # Patterns with * and ?, for storage alone.
    accepted_transfer_syntaxes: tuple[str, ...] = filled_by(
        Option("AcceptedTransferSyntaxes", Texts(one=True), ["1.2.840.10008.1.*"])
    )
    unknown_sop_class_accepted: bool = filled_by(Option("UnknownSopClassAccepted", Boolean(), default=False))
    accepted_sop_classes: tuple[str, ...] = filled_by(
        Option("AcceptedSopClasses", Texts(), [])
    )  # empty: all of storage
    rejected_sop_classes: tuple[str, ...] = filled_by(Option("RejectedSopClasses", Texts(), []))
    modalities: tuple[Modality, ...] = ()  # DicomModalities, as /modalities has changed them
    always_allowed: frozenset[Operation] = frozenset({Operation.ECHO, Operation.STORE})  # DicomAlwaysAllow…
    check_modality_host: bool = filled_by(Option("DicomCheckModalityHost", Boolean(), default=False))
    # The longest silence in an association; 0: none.
    scp_timeout_s: float = filled_by(Option("DicomScpTimeout", Whole(unit="s"), 30))
    maximum_pdu_length: int = same_as(ScuSettings, "maximum_pdu_length")  # of the P-DATA PDUs we take
    tls: TlsSettings | None = None  # DicomTlsEnabled and its options; None: plain TCP
    find: FindSettings = FindSettings()
    worklists: WorklistSettings = filled_by(WORKLISTS)
    # The peer waits for all sub-operations; else they are a job.
    synchronous_move: bool = filled_by(Option("SynchronousCMove", Boolean(), default=True))
    threads_count: int = filled_by(Option("DicomThreadsCount", Whole(1, 10_000), 4))  # operations at once, see `server`
    # Of all gateways: beyond it peers are told to come back.
    maximum_associations: int = filled_by(Option("DicomMaximumAssociations", Whole(1, 100_000), 200))
    # What peers ask for is logged without values that may name a patient.
    deidentify_logs: bool = filled_by(Option("DeidentifyLogs", Boolean(), default=True))
    artim_timeout_s: float = 30  # no option: for a request to arrive in full (PS3.8 §9.1.4)
