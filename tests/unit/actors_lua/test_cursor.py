"""The position of the callbacks: there while somebody moves it, at the end of the log when it is new."""

from dataclasses import replace
from pathlib import Path

from actors.messages.index_client import IndexClient
from actors.services.lua.cursor import read_cursor, take_up_cursor
from events.identifiers import Seq
from tests.index_stage import IndexStage, store_command
from tools.core_settings import CoreSettings
from tools.server.core import Core


def cursor_of(stage: IndexStage) -> Seq | None:
    with stage.views.snapshot() as snapshot:
        return read_cursor(snapshot)


def test_a_new_cursor_stands_at_the_end_of_the_log(stage: IndexStage) -> None:
    stage.ask(store_command())
    client = IndexClient(stage.ask)
    take_up_cursor(client, stage.views, lua_is_on=True)
    assert cursor_of(stage) == 4
    stage.ask(store_command("Q"))
    take_up_cursor(client, stage.views, lua_is_on=True)
    assert cursor_of(stage) == 4, "the next start goes on where the last one stopped"


def test_without_scripts_there_is_no_cursor_for_which_files_would_wait(stage: IndexStage) -> None:
    client = IndexClient(stage.ask)
    client.save_cursor("lua", Seq(3))
    take_up_cursor(client, stage.views, lua_is_on=False)
    assert cursor_of(stage) is None
    take_up_cursor(client, stage.views, lua_is_on=False)
    assert cursor_of(stage) is None


def test_the_core_takes_the_cursor_up_before_files_are_removed(tmp_path: Path) -> None:
    settings = CoreSettings(index_directory=tmp_path / "index", storage_directory=tmp_path / "storage")
    found = []
    for is_on in (True, False):
        core = Core(replace(settings, lua_is_on=is_on))
        with core.views.snapshot() as snapshot:
            found.append(read_cursor(snapshot))
        core.stop()
    assert found == [0, None]
