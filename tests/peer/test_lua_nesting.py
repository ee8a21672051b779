"""Callbacks that use the REST API: what happens within them and because of them, in which order, with which origins."""

import io
import zipfile
from collections.abc import Iterator

import pytest

from tests.data_factory import add_pixels, dataset, encode
from tests.peer.lua_destinations import NEEDS_STORESCP, modality
from tests.peer.lua_stage import SCRIPTS, LuaPair, start_lua_pair, upload
from tests.peer.servers import Oracle
from tests.recording_scp import recording_scp

pytestmark = [pytest.mark.peer, pytest.mark.usefixtures("modern"), NEEDS_STORESCP]

DEEDS = """
function OnStoredInstance(id, tags, metadata, origin)
  trace('OnStoredInstance', id, metadata.Origin, metadata.RemoteAET, origin)
  if origin.RequestOrigin == 'Lua' then return end
  local copy = RestApiGet('/instances/' .. id .. '/file'):gsub('7305%.240%.', '7305.241.'):gsub('PAT240', 'PAT241')
  local answer = ParseJson(RestApiPost('/instances', copy))
  trace('uploaded', answer.Status, answer.ID, answer.ParentPatient)
  trace('again', ParseJson(RestApiPost('/instances', copy)).Status)
  trace('filtered', ParseJson(RestApiPost('/instances', (copy:gsub('Doe%^Jane%^240', 'no          ')))).Status)
  trace('sent', ParseJson(RestApiPost('/modalities/sink/store', answer.ID)).InstancesCount)
  trace('asked', RestApiPost('/modalities/rec/query', DumpJson({Level = 'Study', Query = {PatientID = '*'}}, true)) ~= nil)
  trace('executed', RestApiPost('/tools/execute-script', 'trace("within", 1)'))
  trace('there', RestApiGet('/instances/' .. id) ~= nil, RestApiGet('/instances/' .. answer.ID) ~= nil)
  trace('deleted', RestApiDelete('/instances/' .. id), RestApiGet('/instances/' .. id))
end
"""
MORE_DELETIONS = """
function OnDeletedInstance(id)
  trace('OnDeletedInstance', id)
  if done then return end
  done = true
  RestApiDelete('/patients/' .. patient)
  trace('end')
end
"""


@pytest.fixture(scope="module")
def stage(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LuaPair]:
    folder = tmp_path_factory.mktemp("nesting")
    with (
        recording_scp([]) as recorder,
        start_lua_pair(oracle, folder, SCRIPTS / "verdicts.lua") as pair,
        modality(pair, "sink", folder),
    ):
        pair.ask("/modalities/rec", "PUT", f'["REC", "127.0.0.1", {recorder.port}]')
        yield pair


def settle_twice(stage: LuaPair) -> None:
    """Wait for the callbacks of what was done, and then for those of what these have done."""
    stage.settle()
    stage.settle()


def test_a_callback_does_everything_over_rest(stage: LuaPair) -> None:
    stage.execute(DEEDS)
    stage.settle()
    stage.forget()
    stage.both(lambda server: upload(server, encode(add_pixels(dataset(240)))))
    settle_twice(stage)
    said = stage.assert_said_alike(skip="@ OnStable")
    stage.execute("OnStoredInstance = nil")
    assert '@ filtered("FilteredOut")' in said
    assert "@ deleted(boolean:true, nil:nil)" in said


def test_a_callback_is_in_its_own_time(stage: LuaPair) -> None:
    """Events that a callback causes are told after it, and not within."""
    stage.execute(MORE_DELETIONS)
    uploaded, _ = stage.both(
        lambda server: upload(server, encode(dataset(242, 1, 1, 1)), encode(dataset(243, 1, 1, 1)))
    )
    stage.execute(f"patient = '{uploaded[1]['ParentPatient']}'")
    stage.pair.wait_until_stable()
    stage.forget()
    stage.ask(f"/instances/{uploaded[0]['ID']}", "DELETE")
    settle_twice(stage)
    said = [line.partition("(")[0] for line in stage.assert_said_alike()]
    deleted = ["@ OnDeletedPatient", "@ OnDeletedStudy", "@ OnDeletedSeries", "@ OnDeletedInstance"]
    assert said == [*deleted, "@ end", *reversed(deleted)]


def test_an_archive_is_filtered_file_by_file(stage: LuaPair) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number, name in enumerate(("yes", "no", "error", "yes"), start=1):
            archive.writestr(f"{number}.dcm", encode(dataset(244, 1, 1, number, PatientName=name)))
    stage.forget()
    stage.ask("/instances", "POST", packed.getvalue())
    settle_twice(stage)
    stage.assert_said_alike(skip="@ OnStable")


def test_an_error_after_requests_leaves_what_they_did(stage: LuaPair) -> None:
    stage.execute(
        "function OnStoredInstance(id) RestApiPut('/modalities/made', '[\"A\", \"b\", 1]') local x = nil x.y = 1 end"
    )
    stage.both(lambda server: upload(server, encode(dataset(245))))
    settle_twice(stage)
    stage.execute("OnStoredInstance = nil")
    stage.ask("/modalities/made/configuration")
