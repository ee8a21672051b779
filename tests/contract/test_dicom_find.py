"""C-FIND over real sockets: what a query becomes, what its answers look like, and how it ends."""

import itertools
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydicom import config as pydicom_config
from pydicom.dataset import Dataset as Identifier
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association

from actors.messages.scripts import ScriptRequest
from actors.services.ingest.ingest import Ingest
from actors.services.ingest.settings import IngestSettings
from actors.services.remote.modality import Modality, Operation
from actors.services.scripts.board import Board
from actors.services.scripts.client import ScriptsClient
from actors.services.scripts.script_filters import NO_FILTERS, ScriptFilters
from api.dicom.find_scp import create_find_service
from api.dicom.server import DicomServer
from api.dicom.settings import DicomSettings, FindSettings
from events.errors import Busy
from events.identifiers import Level
from store.dicom.matching import Dataset, OneOf
from store.dicom.uids import PATIENT_ROOT_FIND, STUDY_ROOT_FIND
from store.records import Instance, Origin
from store.views.find import Finder
from store.views.query import Query
from tests.contract.dicom_scu import EXPLICIT_LE
from tests.dicom_bytes import add_pixels, dataset, encode
from tests.scripts_stage import run_scripts
from tools.server.core import Core

UTF8, LATIN1 = "ISO_IR 192", "ISO_IR 100"


@dataclass(slots=True)
class FakeFinder:
    """Gives prepared batches; keeps the query."""

    batches: Iterator[list[Dataset]] = field(default_factory=lambda: iter(()))
    error: Exception | None = None
    queries: list[Query] = field(default_factory=list)

    def find(self, query: Query) -> Iterator[list[Dataset]]:
        self.queries.append(query)
        if self.error is not None:
            raise self.error
        yield from self.batches


@contextmanager
def serving(
    finder: FakeFinder,
    filters: ScriptFilters = NO_FILTERS,
    *,
    modalities: tuple[Modality, ...] = (),
    **options: object,
) -> Iterator[Association]:
    """An association with a server that can do nothing but C-FIND."""
    settings = DicomSettings(
        aet="OURS",
        always_allowed=frozenset({Operation.FIND}),
        modalities=modalities,
        find=FindSettings(**options),  # type: ignore[arg-type]  # options of several types
    )
    listener = socket.create_server(("127.0.0.1", 0))
    port: int = listener.getsockname()[1]
    server = DicomServer(listener, [create_find_service(finder, filters)], lambda: settings)
    server.start()
    entity = ApplicationEntity("ASKING")
    for root in (PATIENT_ROOT_FIND, STUDY_ROOT_FIND):
        entity.add_requested_context(root, EXPLICIT_LE)
    association = entity.associate("127.0.0.1", port, ae_title="OURS")
    assert association.is_established
    try:
        yield association
        association.release()
        association.join(20)  # pynetdicom's thread
    finally:
        server.stop()


def ask(association: Association, **keys: str | list[str]) -> tuple[int, list[Identifier]]:
    """Send a query; returns the final status and the identifiers of the pending ones."""
    identifier = Identifier()
    with pydicom_config.disable_value_validation():
        for keyword, value in keys.items():
            setattr(identifier, keyword, value)
    answers: list[Identifier] = []
    status = -1
    for response, found in association.send_c_find(identifier, STUDY_ROOT_FIND):
        status = response.Status
        if found is not None:
            answers.append(found)
    return status, answers


def test_an_answer_has_what_was_asked_and_where_to_retrieve_it() -> None:
    finder = FakeFinder(iter([[{0x00100020: "P1", 0x00201208: "3"}], [], [{}]]))
    with serving(finder) as association:
        status, answers = ask(
            association, QueryRetrieveLevel="STUDY", PatientID="P*", NumberOfStudyRelatedInstances="", PatientName=""
        )
    assert status == 0
    full, empty = answers
    assert (full.PatientID, full.NumberOfStudyRelatedInstances, full.PatientName) == ("P1", 3, "")
    assert (full.QueryRetrieveLevel, full.RetrieveAETitle, full.SpecificCharacterSet) == ("STUDY", "OURS", LATIN1)
    assert (empty.PatientID, empty.NumberOfStudyRelatedInstances) == ("", None)
    assert [element.tag for element in full] == [element.tag for element in empty]
    (query,) = finder.queries
    assert query.level == Level.STUDY
    assert list(query.keys) == [0x00100020]


@pytest.mark.parametrize(
    ("word", "level"),
    [
        *(("PATIENTS", Level.PATIENT), ("STUDIES", Level.STUDY), ("SERIES", Level.SERIES), ("IMAGES", Level.INSTANCE)),
        *(
            ("INSTANCE", Level.INSTANCE),
            ("INSTANCES", Level.INSTANCE),
            ("Studies", Level.STUDY),
            ("images ", Level.INSTANCE),
        ),
    ],
)
def test_a_level_may_be_named_in_plural(word: str, level: Level) -> None:
    finder = FakeFinder(iter([[{}]]))
    with serving(finder) as association:
        status, (answer,) = ask(association, QueryRetrieveLevel=word)
    assert status == 0
    assert finder.queries[0].level == level
    assert answer.QueryRetrieveLevel == word.strip()  # as it was asked, so Orthanc 1.12.7


@pytest.mark.parametrize("word", ["STUDYS", "SERIE", "FRAMES", "STUDIES\\STUDY"])
def test_other_words_name_no_level(word: str) -> None:
    with serving(FakeFinder()) as association:
        assert ask(association, QueryRetrieveLevel=word) == (0xC000, [])


JAPANESE = "ISO 2022 IR 13\\ISO 2022 IR 87"


@pytest.mark.parametrize(
    "declared", [JAPANESE, "\\ISO 2022 IR 87", "\\ISO 2022 IR 149", "ISO 2022 IR 100\\ISO 2022 IR 144"]
)
def test_an_answer_is_in_all_the_sets_that_a_query_declares(declared: str) -> None:
    name = {JAPANESE: "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎", "\\ISO 2022 IR 149": "Hong=洪^吉洞"}.get(declared, "Люк=Л")
    name = "Yamada=山田" if declared == "\\ISO 2022 IR 87" else name
    finder = FakeFinder(iter([[{0x00100010: name, 0x00080061: "CT\\MR"}]]))
    with serving(finder) as association:
        status, (answer,) = ask(
            association,
            SpecificCharacterSet=declared.split("\\"),
            QueryRetrieveLevel="STUDY",
            PatientName="",
            ModalitiesInStudy=["CT", "MR"],
            StudyInstanceUID=["1.2", "1.3"],
        )
    answer.decode()
    assert status == 0
    assert list(answer.SpecificCharacterSet) == declared.split("\\")
    assert (str(answer.PatientName), list(answer.ModalitiesInStudy)) == (name, ["CT", "MR"])
    assert finder.queries[0].keys[0x0020000D] == OneOf(("1.2", "1.3"))
    assert finder.queries[0].keys[0x00080061] == OneOf(("CT", "MR"))


@pytest.mark.parametrize(("level", "limit"), [("PATIENT", 5), ("STUDY", 5), ("SERIES", 5), ("IMAGE", 7)])
def test_limits_depend_on_the_level_and_what_is_cut_off_is_not_complete(level: str, limit: int) -> None:
    for found, expected in ((limit, 0x0000), (limit + 1, 0xFE00)):
        finder = FakeFinder(iter([[{}] * 4, [{}] * (found - 4)]))
        with serving(finder, limit_results=5, limit_instances=7, reads_files=False) as association:
            status, answers = ask(association, QueryRetrieveLevel=level)
        assert (status, len(answers)) == (expected, limit)
        assert finder.queries[0].limit == limit + 1
        assert not finder.queries[0].reads_files


@pytest.mark.parametrize(
    "keys",
    [{}, {"QueryRetrieveLevel": "FOO"}, {"QueryRetrieveLevel": "STUDY", "StudyDate": "2024*"}],
    ids=["no level", "no known level", "a wildcard in a date"],
)
def test_a_query_that_makes_no_sense_is_refused_and_the_association_goes_on(keys: dict[str, str]) -> None:
    finder = FakeFinder()
    with serving(finder) as association:
        status, answers = ask(association, PatientID="P", **keys)
        assert (status, answers) == (0xC000, [])
        assert ask(association, QueryRetrieveLevel="STUDY") == (0, [])


@pytest.mark.parametrize(("error", "expected"), [(Busy("later"), 0xA700), (RuntimeError("a defect"), 0xC000)])
def test_what_goes_wrong_here_is_a_status(error: Exception, expected: int) -> None:
    with serving(FakeFinder(error=error)) as association:
        assert ask(association, QueryRetrieveLevel="STUDY") == (expected, [])


def test_a_cancel_ends_a_query_that_would_never_end() -> None:
    endless: Iterator[list[Dataset]] = ([{0x00100020: f"P{number}"}] for number in itertools.count())
    identifier = Identifier()
    identifier.QueryRetrieveLevel, identifier.PatientID = "STUDY", ""
    with serving(FakeFinder(endless)) as association:
        statuses = []
        context = association.accepted_contexts[1].context_id
        for response, _ in association.send_c_find(identifier, STUDY_ROOT_FIND, msg_id=7):
            statuses.append(response.Status)
            if len(statuses) == 3:
                association.send_c_cancel(7, context)
    assert statuses[-1] == 0xFE00
    assert set(statuses[:-1]) == {0xFF00}


FILTER = """
function IncomingFindRequestFilter(query, origin)
  print(query['0008,0052'], origin.RemoteAet, origin.CalledAet, origin.RemoteIp, origin.Manufacturer)
  query['0010,0020'] = nil
  query['0008,0052'] = 'SERIES'
  query.AccessionNumber = 'A1'
  return query
end
"""


@pytest.mark.parametrize("manufacturer", ["Generic", "Vitrea"])
def test_a_script_may_change_the_keys_but_neither_the_level_nor_what_is_told(manufacturer: str) -> None:
    finder = FakeFinder(iter([[{0x00100020: "P1"}]]))
    known = (Modality(name="m", aet="ASKING", host="192.0.2.1", port=104, manufacturer=manufacturer),)
    with run_scripts(FILTER) as scripts:
        with serving(finder, scripts.filters, modalities=known) as association:
            _, answers = ask(association, QueryRetrieveLevel="STUDY", PatientID="P2")
        assert scripts.printed == [f"STUDY, ASKING, OURS, 127.0.0.1, {manufacturer}"]
    assert list(finder.queries[0].keys) == [0x00080050]
    assert finder.queries[0].level == Level.STUDY
    assert answers[0].PatientID == "P1"
    assert "AccessionNumber" not in answers[0]


@pytest.mark.parametrize(
    "body", ["error('a Grün message\\n' .. string.rep('x', 1000))", "return nil", "return {nonsense = 'x'}"]
)
def test_a_script_that_fails_ends_the_query_and_the_association_goes_on(body: str) -> None:
    finder = FakeFinder(iter([[{}]]))
    with (
        run_scripts(f"function IncomingFindRequestFilter() {body} end") as scripts,
        serving(finder, scripts.filters) as there,
    ):
        assert ask(there, QueryRetrieveLevel="STUDY") == (0xC000, [])
        scripts.client.execute(b"IncomingFindRequestFilter = nil")
        assert ask(there, QueryRetrieveLevel="STUDY")[0] == 0


def test_a_script_without_time_lets_the_peer_try_again() -> None:
    board = Board()
    board.publish({"IncomingFindRequestFilter"})

    def have_no_time(_request: ScriptRequest, _timeout_s: float) -> Any:
        raise Busy("the Lua interpreter is busy")

    with serving(FakeFinder(), ScriptFilters(main=ScriptsClient(board, have_no_time))) as association:
        assert ask(association, QueryRetrieveLevel="STUDY") == (0xA700, [])


@pytest.mark.parametrize(
    ("declared", "default", "text", "told", "shown"),
    [
        (None, "Latin1", "Jérôme", LATIN1, "Jérôme"),
        (UTF8, "Latin1", "Jérôme", LATIN1, "Jérôme"),
        (UTF8, "Latin1", "山田=A", UTF8, "山田=A"),
        (None, "Latin1", "A=山田", LATIN1, "A="),
        (LATIN1, "Ascii", "山田=é", "ISO_IR 6", "="),
        (LATIN1, "Utf8", "山田=é", UTF8, "山田=é"),
    ],
)
def test_the_character_set_of_an_answer(declared: str | None, default: str, text: str, told: str, shown: str) -> None:
    keys = {"QueryRetrieveLevel": "STUDY", "StudyDescription": ""}
    if declared is not None:
        keys["SpecificCharacterSet"] = declared
    with serving(FakeFinder(iter([[{0x00081030: text}]])), default_encoding=default) as association:
        _, (answer,) = ask(association, **keys)
    assert answer.SpecificCharacterSet == told
    assert answer.StudyDescription == shown


def test_tags_that_the_index_has_not_are_read_from_compressed_files_too(archive: Core) -> None:
    ingest = Ingest(archive.client, archive.views, archive.blobs, "gateway-1", lambda: IngestSettings(compress=True))
    with ingest.open(Origin(kind="RestApi")) as upload:
        upload.write(encode(add_pixels(dataset(1, 1, 1, 1, DerivationDescription="in files alone"), rows=100)))
        upload.store()
    ingest.close()
    with archive.views.snapshot() as s:
        (instance,) = s.list(Level.INSTANCE)
        assert isinstance(instance, Instance)
        assert instance.compression
    query = Query(level=Level.INSTANCE, keys={}, wanted=(0x00082111,))
    (answers,) = [batch for batch in Finder(archive.views, archive.blobs).find(query) if batch]
    assert answers == [{0x00082111: "in files alone"}]
