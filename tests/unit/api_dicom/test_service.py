"""By what a request finds its service, and which services cannot stand beside each other."""

from dataclasses import replace

import pytest

from actors.services.remote.modality import Operation
from actors.wire.dicom.command import Field
from api.dicom.service import FinalResponse, Service, Services

ECHO = Service(
    field=Field.C_ECHO,
    operation=Operation.ECHO,
    handle=lambda _association, _context, _command: FinalResponse(0),
    abstract_syntaxes=frozenset({"1.1"}),
)
STORE = replace(ECHO, field=Field.C_STORE, abstract_syntaxes=frozenset())
PATIENTS = replace(ECHO, field=Field.C_FIND, abstract_syntaxes=frozenset({"1.2", "1.3"}))
WORKLIST = replace(PATIENTS, abstract_syntaxes=frozenset({"1.4"}))


@pytest.mark.parametrize(
    ("field", "syntax", "found"),
    [
        (Field.C_FIND, "1.2", PATIENTS),
        (Field.C_FIND, "1.3", PATIENTS),
        (Field.C_FIND, "1.4", WORKLIST),
        (Field.C_FIND, "1.1", PATIENTS),  # in a context of another service: the first of its field, as Orthanc 1.12.7
        (Field.C_STORE, "1.2.840.10008.5.1.4.1.1.2", STORE),
        (Field.C_STORE, "1.1", STORE),
        (Field.C_ECHO, "1.1", ECHO),
        (Field.C_ECHO, "1.4", ECHO),
        (Field.C_GET, "1.2", None),
        (0x7777, "1.2", None),
    ],
)
def test_a_request_finds_its_service(field: int, syntax: str, found: Service | None) -> None:
    services = Services([ECHO, STORE, PATIENTS, WORKLIST])
    assert services.find(field, syntax) is found
    assert services.abstract_syntaxes == {"1.1", "1.2", "1.3", "1.4"}


def test_a_service_of_any_abstract_syntax_serves_what_no_other_names() -> None:
    others = replace(PATIENTS, abstract_syntaxes=frozenset())
    services = Services([WORKLIST, others])
    assert services.find(Field.C_FIND, "1.4") is WORKLIST
    assert services.find(Field.C_FIND, "1.2") is others


def test_two_services_of_the_same_key_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^two services answer C_FIND in the abstract syntax 1\.3"):
        Services([PATIENTS, replace(WORKLIST, abstract_syntaxes=frozenset({"1.4", "1.3"}))])
    with pytest.raises(ValueError, match=r"^two services answer C_STORE in any abstract syntax"):
        Services([STORE, replace(STORE, operation=Operation.FIND)])
