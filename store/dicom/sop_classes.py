"""The SOP classes that there are: those of pynetdicom, and what it lacks.

Not among those for storage, as in Orthanc: classes without a patient (hanging protocols, palettes, implants, protocol approval,
inventories).
"""

from functools import cache
from typing import Final

from store.dicom.standard_tables import load_table, read_constants
from store.dicom.uids import STORAGE

# What Orthanc 1.12.7 accepts besides: retired classes, DICOS (501) and DICONDE (601).
_LACKING: Final = """
    3 5 6 8 9 9.1 10 11 12.3 77.1 77.2 88.1 88.2 88.3 88.4 129 501.1 501.2.1 501.2.2 501.3 501.4 501.5 501.6
    601.1 601.2 601.3 601.4
"""
_LACKING_ELSEWHERE: Final = frozenset(
    {
        "1.2.840.10008.5.1.1.27",  # Stored Print Storage, retired
        "1.2.840.10008.5.1.1.29",  # Hardcopy Grayscale Image Storage, retired
        "1.2.840.10008.5.1.1.30",  # Hardcopy Color Image Storage, retired
        "1.2.840.10008.5.1.4.34.1",  # RT Beams Delivery Instruction Storage - Trial
    }
)
_TABLE_SUFFIX: Final = "_CLASSES"  # of pynetdicom's tables, one for each service class


@cache
def storage_sop_classes() -> frozenset[str]:
    """The SOP classes of files with a patient."""
    try:
        known = frozenset[str](read_constants("sop_class")["_STORAGE_CLASSES"].values())
    except (
        ImportError,
        KeyError,
    ):  # a release that keeps them elsewhere: by their public name, at the price of an import
        from pynetdicom import AllStoragePresentationContexts

        known = frozenset(str(context.abstract_syntax) for context in AllStoragePresentationContexts)
    return known.union((STORAGE + suffix for suffix in _LACKING.split()), _LACKING_ELSEWHERE)


def is_registered(uid: str) -> bool:
    """Whether the standard's registry has this UID; `UnknownSopClassAccepted` is about all others, as in Orthanc."""
    return uid in _registered_uids()


@cache
def _registered_uids() -> frozenset[str]:
    tables = (table for name, table in read_constants("sop_class").items() if name.endswith(_TABLE_SUFFIX))
    known = (uid for table in tables for uid in table.values())
    return storage_sop_classes().union(load_table("_uid_dict").UID_dictionary, known)
