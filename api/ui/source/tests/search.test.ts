import { expect, test } from "vitest";

import { days } from "../src/archive/period";
import { type Field, pattern, read, toSearch, write } from "../src/archive/search";

const TODAY = new Date(2026, 2, 1, 0, 30); // half past midnight, the day after a short month

test.each([
  [{ from: "", to: "", last: "" }, ""],
  [{ from: "2026-01-31", to: "", last: "" }, "20260131-"],
  [{ from: "", to: "2026-01-31", last: "" }, "-20260131"],
  [{ from: "2026-01-31", to: "2026-01-31", last: "" }, "20260131"],
  [{ from: "", to: "", last: "1" }, "20260301-20260301"],
  [{ from: "", to: "", last: "yesterday" }, "20260228"],
  [{ from: "1999-01-01", to: "", last: "7" }, "20260223-20260301"],
])("%j are the days %s", (period, expected) => expect(days(period, TODAY)).toBe(expected));

test.each<[Field, string, string | string[]]>([
  ["PatientName", "Doe, Jane", ["*Jane*", "*Doe*"]],
  ["PatientName", "JANE^DOE", ["*JANE*", "*DOE*"]],
  ["PatientName", "Jane Jane ", "*Jane*"],
  ["PatientName", "", ""],
  ["PatientName", " Müller ", "*M?ller*"],
  ["PatientName", "Mu\u0308ller", "*M?ller*"],
  ["PatientName", "山田", "*山田*"],
  ["PatientName", "Doe*", "Doe*"],
  ["PatientName", "Smith-Jones", "*Smith-Jones*"],
  ["StudyDescription", "CT head", ["*head*", "*CT*"]],
  ["AccessionNumber", "A-12", "*A-12*"],
  ["PatientBirthDate", "1970", "1970*"],
  ["StudyInstanceUID", "1.2.3", "1.2.3"],
])("%s %s is matched by %s", (name, text, expected) => expect(pattern(name, text)).toEqual(expected));

test("words in any order are asked for beside what matches as a whole", () => {
  const wanted = read(new URLSearchParams("PatientName=Jane+Doe&StudyDescription=head"));
  expect(toSearch(wanted, TODAY)).toMatchObject({
    Query: { StudyDescription: "*head*" },
    QueryAll: { PatientName: ["*Jane*", "*Doe*"] },
  });
});

test("a search is the same once it has been in the address", () => {
  for (const text of [
    "",
    "PatientName=Doe&last=7&modalities=CT%2CMR",
    "StudyID=&labels=a%2Cb&constraint=None&sort=PatientName&order=desc",
    "from=2026-01-01&to=2026-01-31&order=asc",
  ])
    expect(write(read(new URLSearchParams(text))).toString()).toBe(text);
});

test("what makes no sense in an address is left out", () => {
  const wanted = read(new URLSearchParams("sort=Nothing&constraint=x&order=sideways&last=many"));
  expect(toSearch(wanted, TODAY)).toEqual({
    Level: "Study",
    Query: {},
    OrderBy: [{ Type: "DicomTag", Key: "StudyDate", Direction: "ASC" }],
  });
});

test("all of a search reaches the server", () => {
  const wanted = read(
    new URLSearchParams(
      "PatientID=7&StudyID=&modalities=CT,MR&labels=a&constraint=Any&last=yesterday&sort=PatientName",
    ),
  );
  expect(toSearch(wanted, TODAY)).toEqual({
    Level: "Study",
    Query: { PatientID: "*7*", StudyDate: "20260228", ModalitiesInStudy: "CT\\MR" },
    Labels: ["a"],
    LabelsConstraint: "Any",
    OrderBy: [{ Type: "DicomTag", Key: "PatientName", Direction: "ASC" }],
  });
});
