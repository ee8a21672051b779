"""The tables of PS3.3 and PS3.4 that PyPI's `dicom-standard` carries, in the form in which `dicom-validator` wants its edition.

That reads docbook files of the standard, which it fetches from the standard's site, and no package brings. The rows here are the same
(edition of 2020); conditions are read by its own parser.
"""

import html
import json
import re
import sysconfig
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(sysconfig.get_path("data")) / "standard"  # where the package's data lie once it is installed
_GROUPS = ("(5200,9229)", "(5200,9230)")  # Shared and Per-Frame Functional Groups Sequence


@cache
def _rows(name: str) -> list[dict[str, Any]]:
    return list(json.loads((FOLDER / f"{name}.json").read_text("utf-8")))


def _tag(text: str) -> str:
    digits = re.sub(r"[(),]", "", text).upper().replace("XX", "00")
    return f"({digits[:4]},{digits[4:]})"


def read_info(wanted: Iterable[str]) -> Any:
    """Return the validator's `DicomInfo` with the IODs of these SOP classes, as far as the tables have them."""
    from dicom_validator.spec_reader.condition_parser import ConditionParser
    from dicom_validator.validator.dicom_info import DicomInfo

    attributes = {
        _tag(each["tag"]): {"name": each["name"], "vr": each["valueRepresentation"], "vm": each["valueMultiplicity"]}
        for each in _rows("attributes")
    }
    parser = ConditionParser(attributes)

    @cache
    def condition(text: str) -> dict[str, Any]:
        return dict(parser.parse(text).result_dict())

    ids = {each["name"]: each["id"] for each in _rows("ciods")}
    classes = {each["id"]: ids[each["ciod"]] for each in _rows("sops")}
    iods: dict[str, Any] = {
        classes[uid]: {"title": uid, "modules": {}, "group_macros": {}} for uid in wanted if uid in classes
    }
    for key, table, kind in (
        ("modules", "ciod_to_modules", "moduleId"),
        ("group_macros", "ciod_to_fg_macros", "macroId"),
    ):
        for row in _rows(table):
            if row["ciodId"] in iods:
                iods[row["ciodId"]][key][row[kind]] = _usage(row, f"{kind} {row[kind]}", condition)
    refs = {each["ref"] for iod in iods.values() for key in ("modules", "group_macros") for each in iod[key].values()}
    modules: dict[str, Any] = {}
    for table, kind in (("module_to_attributes", "moduleId"), ("macro_to_attributes", "macroId")):
        for row in _rows(table):
            if (ref := f"{kind} {row[kind]}") in refs:
                _add(modules.setdefault(ref, {}), row, attributes, condition)
    for module in modules.values():
        for tag in _GROUPS:
            if tag in module:
                module[tag].setdefault("items", {})["include"] = [{"ref": "FuncGroup"}]
    return DicomInfo(attributes, {uid: iods[classes[uid]] for uid in wanted if uid in classes}, modules)


def _usage(row: dict[str, Any], ref: str, condition: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    told = row["conditionalStatement"]
    if row["usage"] != "C" or not told:
        return {"ref": ref, "use": row["usage"]}
    return {"ref": ref, "use": f"C - {told}", "cond": condition(told)}


def _add(
    module: dict[str, Any], row: dict[str, Any], attributes: dict[str, Any], condition: Callable[[str], dict[str, Any]]
) -> None:
    """Put an attribute in its place below the sequences that its path names."""
    for parent in row["path"].split(":")[1:-1]:
        module = module.setdefault(_tag(parent), {"name": "", "type": "3"}).setdefault("items", {})
    tag = _tag(row["tag"])
    kind = row["type"] if row["type"] in {"1", "1C", "2", "2C"} else "3"
    entry = module.setdefault(tag, {})
    entry.update(name=attributes.get(tag, {}).get("name", ""), type=kind)
    if kind.endswith("C"):
        text = html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", row["description"])))
        found = condition(text.strip())
        if found["type"] != "U":
            entry["cond"] = found
