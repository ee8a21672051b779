"""The storage contexts to propose for a C-GET, when nobody knows what will come.

An association takes 126 of them besides the query models. Each class is proposed in the uncompressed syntaxes, as by
Orthanc; the classes of images that archives keep compressed are proposed once more in the compressed ones, so that a peer
which can send what it stores need not decompress it. Where the query says which SOP classes there are, those alone are
proposed, each compressed syntax in a context of its own. The classes are those Orthanc 1.12.7 proposes (observed).
"""

from collections.abc import Iterable, Sequence
from typing import Final

from actors.services.remote.get_scu import STORAGE_LIMIT
from store.dicom.uids import EXPLICIT_LE, IMPLICIT_LE, RLE_LOSSLESS, STORAGE

Context = tuple[str, Sequence[str]]


_UNCOMPRESSED: Final = (EXPLICIT_LE, IMPLICIT_LE)
_COMPRESSED: Final = (
    *(f"1.2.840.10008.1.2.4.{number}" for number in (90, 91, 70, 57, 80, 81, 50, 51)),
    RLE_LOSSLESS,
    *(f"1.2.840.10008.1.2.4.{number}" for number in (201, 202, 203)),
)
# CT and MR with their enhanced kinds; CR, DX, mammography, breast tomosynthesis; ultrasound, XA, RF, NM, PET; secondary
# capture; endoscopy, microscopy, photographs, ophthalmology.
_OFTEN_COMPRESSED: Final = (
    "2 2.1 4 4.1 1 1.1 1.2 13.1.3 3.1 6.1 12.1 12.2 20 128 7 7.2 7.4 77.1.1 77.1.4 77.1.6 77.1.5.1"
)
_ALL: Final = """
    1 1.1 1.1.1 1.2 1.2.1 1.3 1.3.1 2 2.1 2.2 3.1 4 4.1 4.2 4.3 4.4 6.1 6.2 7 7.1 7.2 7.3 7.4 9.1.1 9.1.2 9.1.3
    9.2.1 9.3.1 9.4.1 9.4.2 9.5.1 9.6.1 11.1 11.2 11.3 11.4 11.5 12.1 12.1.1 12.2 12.2.1 13.1.1 13.1.2 13.1.3 14.1
    14.2 20 66 66.1 66.2 66.3 66.4 66.5 67 68.1 68.2 77.1.1 77.1.1.1 77.1.2 77.1.2.1 77.1.3 77.1.4 77.1.4.1 77.1.5.1
    77.1.5.2 77.1.5.3 77.1.5.4 77.1.6 78.1 78.2 78.3 78.4 78.5 78.6 78.7 78.8 79.1 80.1 81.1 88.11 88.22 88.33 88.34
    88.40 88.50 88.59 88.65 88.67 88.69 88.70 104.1 104.2 128 128.1 130 131 481.1 481.2 481.3 481.4 481.5 481.6
    481.7 481.8 481.9
"""


def storage_contexts(sop_classes: Iterable[str] = ()) -> list[Context]:
    """Return SOP classes with the transfer syntaxes to propose for each; `sop_classes` names those to be expected."""
    known = list(dict.fromkeys(sop_classes))
    if known:
        plain: list[Context] = [(name, _UNCOMPRESSED) for name in known]
        own: list[Context] = [(name, (syntax,)) for syntax in _COMPRESSED for name in known]
        return (plain + own)[:STORAGE_LIMIT]
    plain = [(STORAGE + suffix, _UNCOMPRESSED) for suffix in _ALL.split()]
    return (plain + [(STORAGE + suffix, _COMPRESSED) for suffix in _OFTEN_COMPRESSED.split()])[:STORAGE_LIMIT]
