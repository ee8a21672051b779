"""From files to a configuration: merging, paths, messages, defaults. What Orthanc does was observed on 1.12.7."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from events.errors import BadConfiguration
from events.identifiers import Level
from tools.configuration import Configuration, load
from tools.configuration.all_options import OPTIONS
from tools.server.composition import ServerSettings, server_settings
from tools.server.logging_setup import LogOptions

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file below the test's folder and return its path."""

    def write(text: str | bytes, name: str = "c.json") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def loaded(*paths: Path, **environment: str) -> Configuration:
    return load(paths, environment)


def values(*paths: Path, **environment: str) -> Callable[[str], Any]:
    """Options by their names, as settings have them."""
    configuration = loaded(*paths, **environment)
    return lambda name: configuration.value(OPTIONS[name])


def settings(*paths: Path) -> ServerSettings:
    return server_settings(loaded(*paths), LogOptions())


def refusal(*paths: Path, **environment: str) -> str:
    with pytest.raises(BadConfiguration) as caught:
        load(paths, environment)
    return str(caught.value)


def test_a_smart_card_for_a_dicomweb_server_is_warned_of(write: Callable[[str], Path]) -> None:
    path = write('{"DicomWeb": {"Servers": {"a": {"Url": "https://x", "Pkcs11": true}}}}')
    (warning,) = loaded(path).warnings
    assert warning == "DicomWeb.Servers: a: Pkcs11 is not honoured: this server does not read smart cards"
    assert settings(path).rest.dicom_web.servers[0].url == "https://x/"


def test_no_file_at_all_gives_the_embedded_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    configuration, made = loaded(), settings()
    assert made.storage_directory == tmp_path / "SinogramStorage"
    assert made.index_directory == tmp_path / "SinogramStorage"
    assert (made.http_port, made.http_addresses) == (8042, ("127.0.0.1",))
    assert (made.dicom_port, made.dicom.aet) == (4242, "ORTHANC")
    assert not made.rest.authentication_enabled
    assert configuration.warnings == ()
    assert configuration.sources == ()
    assert 1 <= made.gateways <= 4


def test_a_configuration_can_be_sent_to_another_process(write: Write) -> None:
    configuration = loaded(write('{"DicomModalities": {"m": ["A", "h", 1]}, "RegisteredUsers": {"a": "b"}}'))
    assert pickle.loads(pickle.dumps(configuration)) == configuration


def test_every_part_is_told_of_extra_main_tags(write: Write) -> None:
    made = settings(write('{"ExtraMainDicomTags": {"Study": ["Rows", "StudyDate"]}}'))
    parts = (made.ingest.extra_main_tags, made.core.extra_main_tags, made.rest.extra_main_tags)
    assert parts == ({Level.STUDY: (0x00280010,)},) * 3


def test_a_wrong_extra_main_tag_stops_the_start_by_name(write: Write) -> None:
    message = refusal(write('{"ExtraMainDicomTags": {"Study": ["Rowz"]}}'))
    assert "ExtraMainDicomTags: Study: 'Rowz': no tag" in message


def test_a_folder_is_read_in_the_order_of_names_whatever_the_case_of_its_suffix(write: Write, tmp_path: Path) -> None:
    write('{"Name": "b"}', "c/b.json")
    write('{"DicomAet": "A"}', "c/a.JSON")
    write("not json", "c/readme.txt")
    write('{"DicomPort": 1}', "c/sub/deeper.json")
    configuration = loaded(tmp_path / "c")
    assert [source.name for source in configuration.sources] == ["a.JSON", "b.json"]
    found = [configuration.value(OPTIONS[name]) for name in ("Name", "DicomAet", "DicomPort")]
    assert found == ["b", "A", 4242]


def test_an_empty_folder_is_the_default_with_its_data_in_that_folder(tmp_path: Path) -> None:
    assert settings(tmp_path).storage_directory == tmp_path / "SinogramStorage"
    assert loaded(tmp_path).warnings == (f"{tmp_path}: a folder without a .json file",)


def test_several_files_and_folders_are_merged(write: Write, tmp_path: Path) -> None:
    one = write('{"Name": "x"}', "one.json")
    write('{"DicomPort": 11112}', "c/two.json")
    found = values(one, tmp_path / "c")
    assert (found("Name"), found("DicomPort")) == ("x", 11112)


@pytest.mark.parametrize("second", ['{"Name": "x"}', '{"Name": "y"}'])
def test_an_option_in_two_files_names_both_even_if_they_agree(write: Write, second: str) -> None:
    message = refusal(write('{"Name": "x"}', "a.json"), write(second, "b.json"))
    assert "b.json: Name: stands in" in message
    assert "a.json too" in message


def test_an_option_twice_in_one_file_takes_the_last_with_a_warning(write: Write) -> None:
    configuration = loaded(write('{"Name": "x", "Name": "y"}'))
    assert configuration.value(OPTIONS["Name"]) == "y"
    assert "the last one counts: Name" in configuration.warnings[0]


def test_paths_are_relative_to_the_folder_of_their_file(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    one = write('{"StorageDirectory": "S"}', "one/c.json")
    two = write('{"IndexDirectory": "I", "TemporaryDirectory": "/t"}', "two/c.json")
    made = settings(one, two)
    assert made.storage_directory == tmp_path / "one" / "S"
    assert made.index_directory == tmp_path / "two" / "I"
    assert (made.rest.temporary_directory, made.codecs.scratch, made.limits.folder) == (Path("/t"), Path("/t"), "/t")


def test_the_index_lies_with_the_files_if_nothing_else_is_said(write: Write, tmp_path: Path) -> None:
    assert settings(write('{"StorageDirectory": "S"}')).index_directory == tmp_path / "S"


def test_variables_come_from_the_environment(write: Write) -> None:
    path = write('{"HttpPort": ${PORT}, "Name": "${NAME:-nobody}"}')
    found = values(path, PORT="1234")
    assert (found("HttpPort"), found("Name")) == (1234, "nobody")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{\n  "Name": x}', "line 2, column 11"),
        ("{'Name': 'x'}", "line 1, column 2"),
        ("", "line 1, column 1"),
        ('{"LuaScripts": [,]}', "line 1"),
        ('{"LuaScripts": ["x",,]}', "line 1"),
        ('{"Name": "x",,}', "line 1"),
        ('{"StableAge": 0x10}', "line 1"),
        ('{"Name": NaN}', "NaN is not JSON"),
        ("[1]", "must hold one JSON object"),
        ("null", "must hold one JSON object"),
        ("# hello\n{}", "line 1"),
    ],
)
def test_a_file_that_is_not_json_names_the_place(write: Write, text: str, place: str) -> None:
    message = refusal(write(text))
    assert "c.json: " in message
    assert place in message


def test_text_after_the_closing_brace_is_ignored_with_a_warning(write: Write) -> None:
    configuration = loaded(write('{"Name": "x"} garbage'))
    assert configuration.value(OPTIONS["Name"]) == "x"
    assert "text after the closing brace" in configuration.warnings[0]


def test_a_byte_order_mark_and_raw_line_breaks_in_strings_are_taken(write: Write) -> None:
    assert values(write(b'\xef\xbb\xbf{"Name": "a\nb"}'))("Name") == "a\nb"


def test_a_file_in_latin_1_is_read_with_a_warning(write: Write) -> None:
    configuration = loaded(write('{"Name": "é"}'.encode("latin-1")))
    assert configuration.value(OPTIONS["Name"]) == "é"
    assert "not UTF-8" in configuration.warnings[0]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nope.json") == f"{tmp_path / 'nope.json'}: does not exist"


def test_a_bad_value_names_file_option_and_reason(write: Write, tmp_path: Path) -> None:
    message = refusal(write('{"HttpPort": "8042"}'))
    assert message == f"{tmp_path / 'c.json'}: HttpPort: must be a whole number, not '8042'"


def test_every_problem_is_reported_at_once(write: Write) -> None:
    message = refusal(write('{"HttpPort": -1, "DicomAet": "", "StableAge": "x"}'))
    assert [line.split(": ")[1] for line in message.splitlines()] == ["HttpPort", "DicomAet", "StableAge"]


def test_an_unknown_option_warns_once_and_suggests_a_name(write: Write) -> None:
    configuration = loaded(write('{"DicomPorte": 1}'))
    assert len(configuration.warnings) == 1
    assert "DicomPorte: unknown option, ignored (did you mean DicomPort?)" in configuration.warnings[0]


def test_options_not_honoured_yet_are_listed_once_unless_they_ask_for_the_default(write: Write) -> None:
    path = write(
        '{"WebDavEnabled": false, "SaveJobs": true, "WebDavUploadAllowed": false, "OverwriteInstances": "Never"}'
    )
    (warning,) = loaded(path).warnings
    assert warning == "options this release does not honour yet: WebDavEnabled, WebDavUploadAllowed"


def test_sections_of_plugins_are_recognised(write: Write) -> None:
    (warning,) = loaded(write('{"Python": {}, "Transfers": {}}')).warnings
    assert warning == "sections of plugins, ignored: Python, Transfers"


def test_a_bad_modality_names_file_section_and_name(write: Write) -> None:
    message = refusal(write('{"DicomModalities": {"m": ["A", "h", 0]}}'))
    assert "c.json: DicomModalities: 'm': Port must be a TCP port" in message


def test_the_misspelled_list_of_rejected_classes_is_taken_too(write: Write) -> None:
    made = settings(write('{"RejectSopClasses": ["1.2"]}'))
    assert made.dicom.rejected_sop_classes == made.rest.rejected_sop_classes == ("1.2",)
    assert "RejectedSopClasses is there too" in refusal(write('{"RejectSopClasses": [], "RejectedSopClasses": []}'))


def test_the_encoding_is_spelled_as_the_standard_list_has_it(write: Write) -> None:
    made = settings(write('{"DefaultEncoding": "utf8"}'))
    assert made.dicom.find.default_encoding == made.ingest.default_encoding == made.rest.default_encoding == "Utf8"


# -- access -----------------------------------------------------------------------------------------------------------


def test_remote_access_turns_authentication_on_and_listens_everywhere(write: Write) -> None:
    made = settings(write('{"RemoteAccessAllowed": true, "RegisteredUsers": {"a": "b"}}'))
    assert made.rest.authentication_enabled
    assert made.http_addresses != ("127.0.0.1",)


@pytest.mark.parametrize("users", ["", ', "RegisteredUsers": {}', ', "AuthenticationEnabled": true'])
def test_remote_access_with_authentication_and_no_user_is_refused(write: Write, users: str) -> None:
    assert "RegisteredUsers: must name a user" in refusal(write(f'{{"RemoteAccessAllowed": true{users}}}'))


def test_remote_access_without_authentication_is_a_loud_warning(write: Write) -> None:
    (warning,) = loaded(write('{"RemoteAccessAllowed": true, "AuthenticationEnabled": false}')).warnings
    assert "anybody can read and delete everything" in warning


def test_local_authentication_without_users_lets_nobody_in_with_a_warning(write: Write) -> None:
    (warning,) = loaded(write('{"AuthenticationEnabled": true}')).warnings
    assert "nobody can use the REST API" in warning


def test_registered_users_alone_do_not_turn_authentication_on(write: Write) -> None:
    assert not settings(write('{"RegisteredUsers": {"a": "b"}}')).rest.authentication_enabled


def test_secrets_are_shown_nowhere(write: Write) -> None:
    text = '{"RegisteredUsers": {"alice": "hunter2"}, "OrthancPeers": {"p": ["http://h", "u", "hunter2"]}}'
    configuration = loaded(write(text))
    shown = repr(configuration) + repr(server_settings(configuration, LogOptions()))
    assert "hunter2" not in shown + "".join(configuration.warnings)
    assert "hunter2" not in refusal(write('{"RegisteredUsers": ["hunter2"], "HttpProxy": ["hunter2"]}'))


def test_a_syntax_error_does_not_show_the_line_it_is_on(write: Write) -> None:
    assert "hunter2" not in refusal(write('{"RegisteredUsers": {"a": "hunter2" "b"}}'))


def test_the_process_environment_is_the_default(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "SINOGRAM_TEST_NAME", "from outside")
    assert load([write('{"Name": "${SINOGRAM_TEST_NAME}"}')]).given == {"Name": "from outside"}
