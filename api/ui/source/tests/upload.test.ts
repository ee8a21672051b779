import { expect, test, vi } from "vitest";

import { kindOf, look } from "../src/upload/kinds";
import { outcomeOf, post, Refused } from "../src/upload/post";

const bytes = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
const PREAMBLE = "\0".repeat(128) + "DICM";

// The server's own tests have the same table.
test.each([
  ["README.TXT", "for patients", "other"],
  ["IM0001", `${PREAMBLE}\x02\0\0\0UL\x04\0`, "image"],
  ["README.TXT", PREAMBLE, "image"],
  ["DICOMDIR", `${PREAMBLE}\x02\0\x02\0UI\x16\x001.2.840.10008.1.3.10\0`, "directory"],
  ["DICOMDIR", "a text of this name", "other"],
  ["IM0001", "\x08\0\x05\0\x0a\0\0\0ISO_IR 100", "image"],
  ["notes", "\x08\0 or so", "other"],
  ["disc/IM1.DCM", "text", "image"],
  ["disc/._IM1.dcm", "\0\x05\x16\x07", "other"],
  ["folder.d/IM1", "", "image"],
  ["folder.d\\IM1", "\0".repeat(1024), "image"],
  ["empty.txt", "", "other"],
])("%s that is not stored looks like: %s → %s", (name, head, kind) => expect(kindOf(name, bytes(head))).toBe(kind));

test("a ZIP that cannot be opened may hold images", async () => {
  expect(await look("images.zip", new File(["cut"], "images.zip"))).toBe("image");
  expect(await look("images", new File(["PK\x03\x04 cut"], "images"))).toBe("image");
  expect(await look("notes.txt", new File(["PK\x03"], "notes.txt"))).toBe("other");
});

const SUCCESS = { ID: "i", ParentStudy: "s", ParentSeries: "e", Status: "Success" as const };
const skipped = (Name: string, Kind: "image" | "other") => ({ Status: "Skipped" as const, Name, Kind, Reason: "why" });

test("what a ZIP lacks is named with the ZIP", () => {
  const { stored, left } = outcomeOf("a.zip", [SUCCESS, skipped("README.TXT", "other"), skipped("IM2", "image")]);
  expect(stored).toEqual([SUCCESS]);
  expect(left).toEqual([
    { name: "a.zip › README.TXT", kind: "other", reason: "why", count: 1 },
    { name: "a.zip › IM2", kind: "image", reason: "why", count: 1 },
  ]);
});

test("a ZIP without any image is one name", () => {
  const strange = [{ name: "viewer.jar", kind: "other", reason: "", count: 1 }];
  expect(outcomeOf("viewer.jar", [skipped("A.class", "other"), skipped("B.class", "other")]).left).toEqual(strange);
  expect(outcomeOf("viewer.jar", []).left).toEqual(strange);
  expect(outcomeOf("a.zip", [skipped("IM1", "image"), skipped("x", "other")]).left.length).toBe(2);
});

test("what a script of the server filters out is told", () => {
  const out = { ...SUCCESS, Status: "FilteredOut" as const };
  expect(outcomeOf("a.dcm", out)).toEqual({
    stored: [],
    left: [{ name: "a.dcm", kind: "filtered", reason: "", count: 1 }],
  });
  expect(outcomeOf("a.zip", [out, SUCCESS, out]).left).toEqual([
    { name: "a.zip", kind: "filtered", reason: "", count: 2 },
  ]);
});

/** Send a file to a server that answers this. */
async function send(name: string, content: string, status: number, responseText: string) {
  class Request {
    upload = {};
    status = status;
    responseText = responseText;
    onload = () => undefined;
    open = () => undefined;
    setRequestHeader = () => undefined;
    send = () => this.onload();
  }
  vi.stubGlobal("XMLHttpRequest", Request);
  try {
    return await post(name, new File([content], name), () => undefined, new AbortController().signal);
  } finally {
    vi.unstubAllGlobals();
  }
}

const BAD = JSON.stringify({ Message: "Bad file format", Details: "Cannot parse", OrthancStatus: 15 });

test("what the server cannot read has not failed", async () => {
  expect(await send("README.TXT", "text", 400, BAD)).toEqual({
    stored: [],
    left: [{ name: "README.TXT", kind: "other", reason: "Cannot parse", count: 1 }],
  });
  expect((await send("IM1", PREAMBLE, 400, BAD)).left.map(({ kind }) => kind)).toEqual(["image"]);
  const lacks = JSON.stringify({ Message: "Inexistent tag", OrthancStatus: 21 });
  expect((await send("IM1", PREAMBLE, 404, lacks)).left.map(({ reason }) => reason)).toEqual(["Inexistent tag"]);
});

test.each([
  [401, "", true],
  [503, JSON.stringify({ Message: "busy", OrthancStatus: 36 }), true],
  [507, JSON.stringify({ Message: "full", OrthancStatus: 19 }), true],
  [502, "<html>Bad gateway</html>", true],
  [413, "", false],
  [403, "", false],
  [400, JSON.stringify({ Message: "Bad request", OrthancStatus: 8 }), false],
])("an answer of %s %s is a failure that may pass: %s", async (status, text, isPassing) => {
  const error = await send("IM1", PREAMBLE, status, text).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(Refused);
  expect((error as Refused).isPassing).toBe(isPassing);
  expect((error as Refused).message).not.toBe("");
});
