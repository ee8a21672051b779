"""The table of options: what each kind takes and refuses."""

import json
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest

from events.errors import BadConfiguration
from events.options import Choice, File, Option, Whole, option_of
from tools.configuration import load
from tools.configuration.all_options import OPTIONS, SETTINGS, declared, suggestion
from tools.configuration.without_effect import PLUGIN_SECTIONS


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HttpPort", 8042),
        ("DicomCheckCalledAet", True),
        ("MaximumPduLength", 4096),
        ("MaximumPduLength", 131072),
        ("DicomAet", "A" * 16),
        ("AcceptedTransferSyntaxes", "*"),
        ("AcceptedTransferSyntaxes", ["1.2", "*"]),
        ("DefaultEncoding", "utf8"),
        ("OverwriteInstances", True),
        ("OverwriteInstances", "IfChanged"),
        ("RegisteredUsers", {"alice": "secret"}),
        ("UserMetadata", {"a b": 1024, "é": 65535, "RemoteAet": 1030.0}),
        ("Warnings", {"W004_NoMainDicomTagsSignature": True, "W001_TagsBeingReadFromStorage": False}),
        ("UserContentType", {"a b": 1024, "é": [65535.0, "application/pdf"], "LastUpdate": [1030, ""]}),
    ],
)
def test_a_good_value_has_no_problem(name: str, value: object) -> None:
    assert OPTIONS[name].problem(value) is None


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("HttpPort", "8042", "must be a whole number"),
        ("HttpPort", 8042.0, "must be a whole number"),
        ("HttpPort", 70000, "must be between 0 and 65535"),
        ("StableAge", True, "must be a whole number"),
        ("StableAge", -1, "must be between"),
        ("DicomCheckCalledAet", 1, "must be true or false"),
        ("Name", None, "must be a string"),
        ("DicomAet", "A" * 17, "1 to 16 characters"),
        ("DicomAet", "", "1 to 16 characters"),
        ("MaximumPduLength", 4095, "between 4096 and 131072"),
        ("HttpRequestTimeout", 0, "between 1"),
        ("AcceptedSopClasses", "*", "list of strings"),
        ("DefaultEncoding", "Latin9", "must be one of Ascii"),
        ("StorageAccessOnFind", "never", "must be one of Always"),
        ("RegisteredUsers", ["alice"], "user names and passwords"),
        ("RegisteredUsers", {"al:ice": "x"}, "colon"),
        ("DicomModalities", [], "must be an object"),
        ("Warnings", False, "must be an object"),
        ("Warnings", {"W001": False}, "'W001' is no warning; there are W001_TagsBeingReadFromStorage, W002_"),
        ("Warnings", {"W003_DecoderFailure": 0}, '"W003_DecoderFailure" must be true or false'),
        ("UserMetadata", ["note"], "must be an object"),
        ("UserMetadata", {"note": 1023}, "between 1024 and 65535, not 1023"),
        ("UserMetadata", {"note": 65536}, "between 1024 and 65535, not 65536"),
        ("UserMetadata", {"note": 1024.5}, "between 1024 and 65535"),
        ("UserMetadata", {"note": "1024"}, "must be a number"),
        ("UserMetadata", {"note": None}, "must be a number"),
        ("UserMetadata", {"note": True}, "must be a number"),
        ("UserMetadata", {"one": 1024, "two": 1024}, '"one" and "two" have the same number 1024'),
        ("UserMetadata", {"LastUpdate": 1024}, "cannot be the name"),
        ("UserMetadata", {"1030": 1024}, "cannot be the name"),
        ("UserContentType", ["note"], "must be an object"),
        ("UserContentType", {"note": 1023}, "between 1024 and 65535, not 1023"),
        ("UserContentType", {"note": [65536, "a/b"]}, "between 1024 and 65535, not 65536"),
        ("UserContentType", {"note": ["1024", "a/b"]}, "must be a number"),
        ("UserContentType", {"note": "1024"}, "must be a number"),
        ("UserContentType", {"note": None}, "must be a number"),
        ("UserContentType", {"note": []}, "a list of a number and a media type"),
        ("UserContentType", {"note": [1024]}, "a list of a number and a media type"),
        ("UserContentType", {"note": [1024, "a/b", "c"]}, "a list of a number and a media type"),
        ("UserContentType", {"note": [1024, 5]}, "a list of a number and a media type"),
        ("UserContentType", {"note": [1024, "a/b\r\nX: y"]}, "a list of a number and a media type"),
        ("UserContentType", {"one": 1024, "two": [1024, "a/b"]}, '"one" and "two" have the same number 1024'),
        ("UserContentType", {"dicom": 1024}, "cannot be the name"),
        ("UserContentType", {"dicom-as-json": 1024}, "cannot be the name"),
        ("UserContentType", {"-5": 1024}, "cannot be the name"),
    ],
)
def test_a_bad_value_is_told_why(name: str, value: object, reason: str) -> None:
    problem = OPTIONS[name].problem(value)
    assert problem is not None
    assert reason in problem


@pytest.mark.parametrize("option", [row.name for row in OPTIONS.values() if row.default is not None])
def test_every_default_is_a_good_value(option: str) -> None:
    assert OPTIONS[option].problem(OPTIONS[option].default) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("RegisteredUsers", {"alice": 12345}), ("HttpProxy", 12345), ("OrthancPeers", ["12345"]), ("Pkcs11", "12345")],
)
def test_a_problem_does_not_repeat_a_secret(name: str, value: object) -> None:
    assert "12345" not in str(OPTIONS[name].problem(value))


@pytest.mark.parametrize(
    ("unknown", "meant"),
    [("DicomPorte", "DicomPort"), ("dicomaet", "DicomAet"), ("HtpPort", "HttpPort"), ("Zebra", None)],
)
def test_an_unknown_option_is_answered_with_the_nearest_name(unknown: str, meant: str | None) -> None:
    assert suggestion(unknown) == meant


def test_false_and_never_mean_the_same_for_overwriting() -> None:
    row = OPTIONS["OverwriteInstances"]
    assert [row.differs(value) for value in (False, "Never", True, "Always")] == [False, False, True, True]


def test_no_option_is_declared_twice() -> None:
    found: dict[str, Option] = {}
    for option in declared():
        assert found.setdefault(option.name, option) is option, option.name


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings.__name__)
def test_a_setting_has_the_default_of_its_option(settings: Any) -> None:
    for field in fields(settings):
        option = option_of(field)
        if option is not None:
            made = field.default if field.default_factory is MISSING else field.default_factory()
            assert made == option.read(option.default, Path()), field.name


def test_a_value_is_read_in_the_unit_of_its_setting() -> None:
    size = Option("Size", Whole(unit="MB", factor=1 << 20), 2)
    assert (size.read(3, Path()), size.kind.words) == (3 << 20, "0 or more MB")
    place = Option("Place", File())
    assert [place.read(value, Path("/a")) for value in ("b", "/c", "", None)] == [Path("/a/b"), Path("/c"), None, None]


def test_no_option_is_a_plugin_section() -> None:
    assert not OPTIONS.keys() & PLUGIN_SECTIONS


@pytest.mark.parametrize("name", [name for name, option in OPTIONS.items() if option.is_without_effect])
def test_what_has_no_effect_is_checked_and_not_warned_of(tmp_path: Path, name: str) -> None:
    default, kind = OPTIONS[name].default, OPTIONS[name].kind
    chosen = kind.choices[0] if isinstance(kind, Choice) else ""
    other = (not default) if isinstance(default, bool) else default + 1 if isinstance(default, int) else chosen
    file = tmp_path / "c.json"
    file.write_text(json.dumps({name: other}))
    assert load([file]).warnings == ()
    file.write_text(json.dumps({name: ["wrong"]}))
    with pytest.raises(BadConfiguration, match=name):
        load([file])
