"""The storage SOP classes and transfer syntaxes a peer may propose (PS3.6 Annex A), written out: no library to load.

The current classes are those pynetdicom 3.0 knows (a test compares); the retired, DICOS and DICONDE ones are those that
Orthanc 1.12.7 also accepts. Not here, as in Orthanc: classes without a patient (hanging protocols, palettes, implants,
protocol approval, inventories).
"""

from functools import cache

from store.dicom.pydicom_tables import load_table

VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT_LE = "1.2.840.10008.1.2"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
EXPLICIT_BE = "1.2.840.10008.1.2.2"

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_CURRENT = """
    1 1.1 1.1.1 1.2 1.2.1 1.3 1.3.1 2 2.1 2.2 3.1 4 4.1 4.2 4.3 4.4 6.1 6.2 6.3 7 7.1 7.2 7.3 7.4 9.1.1 9.1.2
    9.1.3 9.1.4 9.2.1 9.3.1 9.4.1 9.4.2 9.5.1 9.6.1 9.6.2 9.7.1 9.7.2 9.7.3 9.7.4 9.8.1 9.100.1 9.100.2 11.1
    11.2 11.3 11.4 11.5 11.6 11.7 11.8 11.9 11.10 11.11 11.12 12.1 12.1.1 12.2 12.2.1 13.1.1 13.1.2 13.1.3
    13.1.4 13.1.5 14.1 14.2 20 30 66 66.1 66.2 66.3 66.4 66.5 66.6 66.7 66.8 67 68.1 68.2 77.1.1 77.1.1.1 77.1.2
    77.1.2.1 77.1.3 77.1.4 77.1.4.1 77.1.5.1 77.1.5.2 77.1.5.3 77.1.5.4 77.1.5.5 77.1.5.6 77.1.5.7 77.1.5.8
    77.1.6 77.1.7 77.1.8 77.1.9 78.1 78.2 78.3 78.4 78.5 78.6 78.7 78.8 79.1 80.1 81.1 82.1 88.11 88.22 88.33
    88.34 88.35 88.40 88.50 88.59 88.65 88.67 88.68 88.69 88.70 88.71 88.72 88.73 88.74 88.75 88.76 88.77 90.1
    91.1 104.1 104.2 104.3 104.4 104.5 128 128.1 130 131 200.2 200.8 481.1 481.2 481.3 481.4 481.5 481.6 481.7
    481.8 481.9 481.10 481.11 481.12 481.13 481.14 481.15 481.16 481.17 481.18 481.19 481.20 481.21 481.22
    481.23 481.24 481.25
"""
_RETIRED_OR_INDUSTRIAL = """
    3 5 6 8 9 9.1 10 11 12.3 77.1 77.2 88.1 88.2 88.3 88.4 129 501.1 501.2.1 501.2.2 501.3 501.4 501.5 501.6
    601.1 601.2 601.3 601.4
"""
STORAGE_SOP_CLASSES = frozenset(_STORAGE + suffix for suffix in (_CURRENT + _RETIRED_OR_INDUSTRIAL).split()) | {
    "1.2.840.10008.5.1.1.27",  # Stored Print Storage, retired
    "1.2.840.10008.5.1.1.29",  # Hardcopy Grayscale Image Storage, retired
    "1.2.840.10008.5.1.1.30",  # Hardcopy Color Image Storage, retired
    "1.2.840.10008.5.1.4.34.1",  # RT Beams Delivery Instruction Storage - Trial
    "1.2.840.10008.5.1.4.34.7",  # RT Beams Delivery Instruction Storage
    "1.2.840.10008.5.1.4.34.10",  # RT Brachy Application Setup Delivery Instruction Storage
}

_SYNTAX = "1.2.840.10008.1.2."
_SYNTAXES = """
    1 1.98 1.99 2 5 6.1 6.2 7.1 7.2 7.3 8.1
    4.50 4.51 4.52 4.53 4.54 4.55 4.56 4.57 4.58 4.59 4.60 4.61 4.62 4.63 4.64 4.65 4.66 4.70 4.80 4.81
    4.90 4.91 4.92 4.93 4.94 4.95 4.100 4.100.1 4.101 4.101.1 4.102 4.102.1 4.103 4.103.1 4.104 4.104.1 4.105 4.105.1
    4.106 4.106.1 4.107 4.108 4.110 4.111 4.112 4.201 4.202 4.203 4.204 4.205
"""
TRANSFER_SYNTAXES = frozenset(_SYNTAX + suffix for suffix in _SYNTAXES.split()) | {IMPLICIT_LE}


def is_registered(uid: str) -> bool:
    """Whether the standard's registry has this UID; `UnknownSopClassAccepted` is about all others, as in Orthanc."""
    return uid in _registered_uids() or uid in STORAGE_SOP_CLASSES


@cache
def _registered_uids() -> frozenset[str]:
    return frozenset(load_table("_uid_dict").UID_dictionary)
