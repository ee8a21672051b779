"""Decides who may associate and ask for what, by `DicomModalities`, `DicomAlwaysAllow…` and their comparisons, as Orthanc does."""

from actors.services.remote.modality import Modality, Operation
from api.dicom.settings import DicomSettings


def is_same_aet(settings: DicomSettings, one: str, other: str) -> bool:
    return one == other if settings.strict_aet_comparison else one.upper() == other.upper()


def find_modality(settings: DicomSettings, aet: str) -> Modality | None:
    """The modality with this title; of several, the one whose symbolic name comes first, as in Orthanc."""
    found = (modality for modality in settings.modalities if is_same_aet(settings, modality.aet, aet))
    return min(found, key=lambda modality: modality.name, default=None)


def manufacturer_of(settings: DicomSettings, aet: str) -> str:
    """The manufacturer of a peer's software, by its modality; "Generic" for an unknown peer."""
    modality = find_modality(settings, aet)
    return "Generic" if modality is None else modality.manufacturer


def is_welcome(settings: DicomSettings, aet: str, remote_ip: str) -> bool:
    """Whether this peer gets an association: every peer does as soon as one operation is open to all."""
    return bool(settings.always_allowed) or _find_trusted(settings, aet, remote_ip) is not None


def is_allowed(settings: DicomSettings, operation: Operation, aet: str, remote_ip: str) -> bool:
    """Whether this peer may ask for `operation`; a modality cannot be denied an operation that is open to all."""
    if operation in settings.always_allowed:
        return True
    modality = _find_trusted(settings, aet, remote_ip)
    return modality is not None and operation in modality.allowed


def _find_trusted(settings: DicomSettings, aet: str, remote_ip: str) -> Modality | None:
    """The peer's modality, if its address need not be checked or is the configured one (text, never resolved)."""
    modality = find_modality(settings, aet)
    if modality is None or (settings.check_modality_host and modality.host != remote_ip):
        return None
    return modality
