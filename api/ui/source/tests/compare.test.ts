import { expect, test } from "vitest";

import type { Dataset, Tag } from "../src/api/work";
import { compare } from "../src/work/compare";

const tag = (Name: string, Value: Tag["Value"], more: Partial<Tag> = {}): Tag => ({
  Name,
  Type: Array.isArray(Value) ? "Sequence" : "String",
  Value,
  ...more,
});
const fates = (before: Dataset, after: Dataset) =>
  compare(before, after).map(({ path, fate, after: value }) => [path, fate, value]);

test("each tag has its fate, in the order of their numbers", () => {
  const before = {
    "0010,0010": tag("PatientName", "Doe"),
    "0010,0040": tag("PatientSex", "F"),
    "0008,0020": tag("StudyDate", "20260131"),
    "0008,0060": tag("Modality", "MR"),
    "0020,000d": tag("StudyInstanceUID", "1.2"),
  };
  const after = {
    "0010,0010": tag("PatientName", "A"),
    "0008,0020": tag("StudyDate", ""),
    "0008,0060": tag("Modality", "MR"),
    "0012,0062": tag("PatientIdentityRemoved", "YES"),
    "0020,000d": tag("StudyInstanceUID", "9.9", { IsDrawn: true }),
  };
  expect(fates(before, after)).toEqual([
    ["0008,0020", "emptied", ""],
    ["0008,0060", "kept", "MR"],
    ["0010,0010", "replaced", "A"],
    ["0010,0040", "removed", null],
    ["0012,0062", "added", "YES"],
    ["0020,000d", "drawn", "9.9"],
  ]);
});

test("items of a sequence are told one by one, what goes with it once", () => {
  const item = (uid: string, more = {}): Dataset => ({ "0008,1155": tag("ReferencedSOPInstanceUID", uid), ...more });
  const before = {
    "0008,1140": tag("ReferencedImageSequence", [item("1"), item("2", { "0008,1150": tag("Class", "x") })]),
    "0040,0275": tag("RequestAttributesSequence", [item("3")]),
    "0040,a730": tag("ContentSequence", [item("4")]),
  };
  const after = {
    "0008,1140": tag("ReferencedImageSequence", [item("1"), item("5")]),
    "0040,a730": tag("ContentSequence", []),
  };
  expect(fates(before, after)).toEqual([
    ["0008,1140[0].0008,1155", "kept", "1"],
    ["0008,1140[1].0008,1150", "removed", null],
    ["0008,1140[1].0008,1155", "replaced", "5"],
    ["0040,0275", "removed", null],
    ["0040,a730", "emptied", ""],
  ]);
  expect(compare(before, after)[2]?.name).toBe("ReferencedImageSequence › ReferencedSOPInstanceUID");
});

test("a value that is not shown, or empty before and after, is no change", () => {
  const same = { "0028,0010": tag("LUTData", null, { Type: "Binary" }), "0010,0030": tag("PatientBirthDate", "") };
  expect(fates(same, { ...same, "0010,0030": tag("PatientBirthDate", "") }).map(([, fate]) => fate)).toEqual([
    "kept",
    "kept",
  ]);
});
