"""Where an association goes and under which conditions; what the configuration says about all of them."""

from dataclasses import dataclass

from actors.services.remote.modality import Modality
from actors.wire.errors import BAD_SEQUENCE_OF_CALLS, RemoteFailed
from actors.wire.tls import TlsSettings
from events.options import Boolean, Option, Text, Title, Whole, filled_by
from store.dicom.uids import EXPLICIT_LE


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The other end of an association to be requested."""

    host: str
    port: int
    called_aet: str
    calling_aet: str
    timeout_s: int = 10  # for a connection to be there, and for the longest silence; 0: no limit
    patience_s: float = 0.0  # so long a host that refuses the connection is asked again
    tls: TlsSettings | None = None  # None: without TLS
    maximum_pdu_length: int = 16384  # of the P-DATA PDUs we take, in bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ScuSettings:
    """The options of this server as a client of modalities; the defaults are Orthanc's."""

    aet: str = filled_by(Option("DicomAet", Title(), "ORTHANC"))
    timeout_s: int = filled_by(Option("DicomScuTimeout", Whole(unit="s"), 10))  # 0: none
    tls: TlsSettings | None = None  # DicomTls…; None: no certificate is configured
    maximum_pdu_length: int = filled_by(Option("MaximumPduLength", Whole(4096, 131072, "bytes"), 16384))
    # An idle association is kept that long for the next use.
    close_delay_s: int = filled_by(Option("DicomAssociationCloseDelay", Whole(unit="s"), 5))
    transcode: bool = filled_by(Option("TranscodeDicomProtocol", Boolean(), default=True))
    # Transactions of storage commitment that are remembered, and their reports; 0: all.
    commitments_remembered: int = filled_by(Option("StorageCommitmentReportsSize", Whole(), 100))
    # What is transcoded to.
    preferred_transfer_syntax: str = filled_by(Option("DicomScuPreferredTransferSyntax", Text(), EXPLICIT_LE))

    def target(self, modality: Modality, *, local_aet: str = "", timeout_s: int | None = None) -> Target:
        """Return how to reach a modality; the arguments are those of one request and come before anything else.

        Raises RemoteFailed if the modality wants TLS and what it takes is not configured.
        """
        if modality.use_tls:
            self._check_tls()
        return Target(
            host=modality.host,
            port=modality.port,
            called_aet=modality.aet,
            calling_aet=local_aet or modality.local_aet or self.aet,
            timeout_s=(modality.timeout_s or self.timeout_s) if timeout_s is None else timeout_s,
            tls=self.tls if modality.use_tls else None,
            maximum_pdu_length=self.maximum_pdu_length,
        )

    def _check_tls(self) -> None:
        if self.tls is None:
            missing = "DicomTlsCertificate and DicomTlsPrivateKey are"
        elif self.tls.is_remote_certificate_required and self.tls.trusted is None:
            missing = "DicomTlsTrustedCertificates is"
        else:
            return
        raise RemoteFailed(f"DICOM TLS - {missing} not configured", code=BAD_SEQUENCE_OF_CALLS)
