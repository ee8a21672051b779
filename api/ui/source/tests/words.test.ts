import { expect, test } from "vitest";

import type { Resource } from "../src/api/archive";
import { facts } from "../src/resource/facts";
import { keep } from "../src/resource/TagTree.svelte";
import { readable, spaced } from "../src/resource/words";

test.each([
  ["SliceThickness", "Slice Thickness"],
  ["SOPInstanceUID", "SOP Instance UID"],
  ["PatientID", "Patient ID"],
  ["kVP", "k VP"],
  ["Rows", "Rows"],
])("%s is written %s", (name, words) => expect(spaced(name)).toBe(words));

test("tags are found by their names with blanks and without", () => {
  const tags = { "0018,0050": { Name: "SliceThickness", Type: "String" as const, Value: "2.0" } };
  for (const words of ["slicethickness", "thick", "0018,0050", "2.0"]) expect(keep(tags, words)).toEqual(tags);
  expect(keep(tags, "spacing")).toEqual({});
});

test.each([
  ["StudyDate", "20261129", "Nov 29, 2026"],
  ["StudyTime", "110000", "11:00 AM"],
  ["PatientName", "Berger^Maria", "Berger, Maria"],
  ["EchoTime", "4.2", ""],
  ["StudyDate", "unknown", ""],
  ["Manufacturer", "20261129", ""],
])("%s %s is read as %s", (name, value, shown) =>
  expect(readable(name, value, "en-US").replace("\u202f", " ")).toBe(shown),
);

test("what is asked first of a study is told, and what it lacks left out", () => {
  const study: Resource = {
    ID: "x",
    Type: "Study",
    MainDicomTags: { StudyDate: "20261129", StudyTime: "0830", AccessionNumber: "A7", InstitutionName: "" },
    PatientMainDicomTags: { PatientID: "P1" },
    Labels: [],
  };
  expect(facts(study, "en-GB").map(({ key, value, isCopied }) => [key, value, isCopied])).toEqual([
    ["tag.PatientID", "P1", true],
    ["tag.StudyDate", "29 Nov 2026, 08:30", false],
    ["tag.AccessionNumber", "A7", true],
  ]);
});
