import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import type { Level, Resource } from "../src/api/archive";
import { RequestFailed } from "../src/api/client";
import type { ArchiveEvent, Filter } from "../src/api/events";
import type { Ear } from "../src/api/feed";
import type { Job, JobState } from "../src/api/jobs";
import { session } from "../src/api/session.svelte";
import { archivePath } from "../src/api/work";
import { notices } from "../src/parts/notices.svelte";
import { criteria, EMPTY } from "../src/remote/search";
import { changeOf, type Field, fieldsOf, tagsOf, withForce } from "../src/work/change";
import { offered } from "../src/work/dialogs";
import { madeBy } from "../src/work/result";
import { Running } from "../src/work/running.svelte";

const resource = (Type: Level, ID: string, tags: Record<string, string> = {}): Resource => ({
  ID,
  Type,
  MainDicomTags: tags,
  Labels: [],
});
const field = (tag: string, old: string | null, value: string, isRemoved = false): Field => ({
  tag,
  old,
  value,
  isRemoved,
});

test("only what has been changed is asked for", () => {
  const fields = [
    field("StudyDescription", "Knee", "Neck"),
    field("StudyID", "7", "7"),
    field("AccessionNumber", "A", "", true),
    field("", null, "x"),
    field(" InstitutionName ", null, ""),
  ];
  expect(changeOf("Study", fields, "copy", false)).toEqual({
    Replace: { StudyDescription: "Neck" },
    Remove: ["AccessionNumber"],
    Keep: [],
    KeepSource: true,
  });
});

test("a value may be emptied", () => {
  expect(changeOf("Study", [field("StudyID", "7", "")], "replace", true)).toEqual({
    Replace: { StudyID: "" },
    Remove: [],
    Keep: [],
    KeepSource: false,
    RemovePrivateTags: true,
  });
});

test("who touches an identifier says so", () => {
  expect(changeOf("Study", [field("PatientID", "1", "2")], "copy", false).Force).toBe(true);
  expect(changeOf("Series", [field("Modality", "CT", "MR")], "in-place", false)).toMatchObject({
    Keep: ["SeriesInstanceUID", "SOPInstanceUID"],
    KeepSource: true,
    Force: true,
  });
  // The server wants the ID of a patient even where it stays.
  expect(
    changeOf("Patient", [field("PatientID", "1", "1"), field("PatientSex", "", "F")], "copy", false),
  ).toMatchObject({ Replace: { PatientID: "1", PatientSex: "F" }, Force: true });
  expect(withForce({ Replace: {}, Remove: [], Keep: ["StudyDate"], KeepSource: true }).Force).toBeUndefined();
});

test("a study that goes to another patient gets all that is known of that one", () => {
  const patient = { PatientID: "2", PatientName: "B", OtherPatientIDs: "x" };
  const fields = [field("PatientID", "1", "2"), field("PatientName", "A", "B"), field("PatientSex", "F", "")];
  expect(changeOf("Study", fields, "copy", false, patient).Replace).toEqual({ ...patient, PatientSex: "" });
});

test("values in which several differ are left alone", () => {
  const studies = ["Knee", "Neck"].map((StudyDescription, place) =>
    resource("Study", `${place}`, { StudyDescription, StudyID: "1" }),
  );
  const fields = fieldsOf(studies);
  expect(fields.find(({ tag }) => tag === "StudyDescription")).toMatchObject({ old: null, value: "" });
  expect(fields.find(({ tag }) => tag === "StudyID")).toMatchObject({ old: "1", value: "1" });
  expect(changeOf("Study", fields, "copy", false).Replace).toEqual({});
});

test("tags are written with commas or spaces", () => {
  expect(tagsOf(" StudyDate, 0018-1000;PatientAge\n")).toEqual(["StudyDate", "0018-1000", "PatientAge"]);
  expect(tagsOf(" ")).toEqual([]);
});

test("what is offered depends on level and number", () => {
  expect(offered([resource("Study", "a")])).toEqual(["send", "anonymize", "modify", "remove"]);
  expect(offered([resource("Study", "a"), resource("Study", "b")])).toContain("merge");
  expect(offered([resource("Series", "a")])).toContain("split");
});

test("archives have an address of their own", () => {
  expect(archivePath([resource("Study", "a")], "archive")).toBe("/studies/a/archive");
  expect(archivePath([resource("Study", "a"), resource("Study", "b")], "media")).toBe(
    "/tools/create-media?resources=a,b",
  );
});

test("a download is named by what it is, not by whose it is", () => {
  const study = resource("Study", "a", {
    PatientName: "Berger^Maria",
    PatientID: "HB-1",
    ModalitiesInStudy: "CT\\SR",
    StudyDescription: "Schädel, nativ (2 mm)",
    StudyDate: "20261127",
  });
  expect(archivePath([study], "archive")).toBe("/studies/a/archive?filename=CT-SR_Schadel-nativ-2-mm_20261127.zip");
  expect(archivePath([resource("Series", "b", { SeriesDescription: "頭部" })], "media")).toBe("/series/b/media");
  expect(archivePath([resource("Patient", "c", { PatientName: "Berger" })], "archive")).toBe("/patients/c/archive");
});

test("names are looked for by any part, identifiers as they are, days as a range", () => {
  const form = { ...EMPTY, PatientName: "doe, jane", PatientID: " 12 ", ModalitiesInStudy: "ct" };
  expect(criteria(form)).toEqual({ PatientName: "*doe*jane*", PatientID: "12", ModalitiesInStudy: "CT" });
  expect(criteria({ ...EMPTY, PatientName: "Do?" })).toEqual({ PatientName: "Do?" });
  expect(criteria({ ...EMPTY, from: "2026-01-31" })).toEqual({ StudyDate: "20260131-" });
  expect(criteria({ ...EMPTY, to: "2026-01-31" })).toEqual({ StudyDate: "-20260131" });
  expect(criteria({ ...EMPTY, from: "2026-01-31", to: "2026-01-31" })).toEqual({ StudyDate: "20260131" });
  expect(criteria({ ...EMPTY, from: "2026-01-30", to: "2026-01-31" })).toEqual({ StudyDate: "20260130-20260131" });
});

const job = (ID: string, State: JobState, Progress = 0, more: Partial<Job> = {}): Job => ({
  ID,
  State,
  Progress,
  Type: "DicomModalityStore",
  Priority: 0,
  CreationTime: "20260101T000000",
  Timestamp: "20260101T000000",
  EffectiveRuntime: 0,
  ErrorCode: 0,
  ErrorDescription: "",
  ErrorDetails: "",
  Content: {},
  ...more,
});

test("a job says what it has made", () => {
  const [study, instance] = [
    { ID: "x", Type: "Study" },
    { ID: "y", Type: "Instance" },
  ];
  const made = (Content: Record<string, unknown>, level: Level) =>
    madeBy(job("1", "Success", 100, { Content }), level)?.ID;
  expect(made({ ...study, Path: "/studies/x" }, "Study")).toBe("x");
  expect(made({ Resources: [instance, study] }, "Instance")).toBe("y");
  expect(made({ Resources: [instance, study] }, "Study")).toBe("x");
  expect(made({ TargetStudy: "z" }, "Series")).toBe("z");
  expect(made({ Resources: [study, study] }, "Study")).toBeUndefined();
  expect(made({}, "Study")).toBeUndefined();
});

beforeEach(() => vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  notices.all = [];
});

/** A server whose jobs the test moves on, and whose feed tells so. */
function staged(...jobs: Job[]) {
  const server = new Map(jobs.map((one) => [one.ID, one]));
  const list = vi.fn(() =>
    Promise.resolve([...server.values()].filter(({ State }) => State !== "Success" && State !== "Failure")),
  );
  const get = vi.fn((id: string) => {
    const found = server.get(id);
    return found ? Promise.resolve(found) : Promise.reject(new RequestFailed(404, "Not found"));
  });
  const ears: Ear[] = [];
  const follow = (_: Filter, ear: Ear) => {
    ears.push(ear);
    ear.connected?.(true);
    return () => void ears.splice(ears.indexOf(ear), 1);
  };
  const move = (...moved: Job[]) => {
    for (const one of moved) server.set(one.ID, one);
    for (const { heard } of ears) heard({ Tag: "job-step-finished/1" } as ArchiveEvent);
    return vi.advanceTimersByTimeAsync(2_000);
  };
  const connect = (isConnected: boolean) => ears.forEach(({ connected }) => connected?.(isConnected));
  return { list, move, connect, running: new Running(list, get, { follow }) };
}

const WORDS = { doing: "Sending", done: () => ({ text: "Sent" }) };
const told = () => notices.all.map(({ text, isError, progress }) => [text, isError, progress]);

test("several jobs are told of as one matter, until all have ended", async () => {
  const { move, running } = staged(job("1", "Running", 50), job("2", "Pending"));
  const stop = running.follow();
  const then = vi.fn();
  running.watch([{ ID: "1" }, { ID: "2" }], { ...WORDS, then });
  await vi.advanceTimersByTimeAsync(100);
  expect(told()).toEqual([["Sending", false, 25]]);
  expect(running.jobs.length).toBe(2);
  await move(job("1", "Success", 100));
  expect(told()).toEqual([["Sending", false, 50]]);
  await move(job("2", "Success", 100));
  expect(told()).toEqual([["Sent", false, undefined]]);
  expect(then).toHaveBeenCalledOnce();
  stop();
});

test("a failure stays with its reason, and the way to its job", async () => {
  const failed = { ErrorCode: 9, ErrorDescription: "Error in the network protocol", ErrorDetails: "refused" };
  const { running } = staged(job("1", "Failure", 0, failed));
  const stop = running.follow();
  running.watch([{ ID: "1" }], WORDS);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(told()).toEqual([["Sending: Error in the network protocol: refused", true, undefined]]);
  expect(notices.all[0]?.link?.path).toBe("/jobs?job=1");
  stop();
});

test("a job that somebody has removed is told of no more", async () => {
  const { running } = staged();
  const stop = running.follow();
  running.watch([{ ID: "1" }], WORDS);
  await vi.advanceTimersByTimeAsync(3_000);
  expect(notices.all).toEqual([]);
  stop();
});

test("while the feed tells, nothing is asked for that it has not told of", async () => {
  const { list, move, running } = staged(job("1", "Running", 10));
  const stop = running.follow();
  await vi.advanceTimersByTimeAsync(1_000);
  list.mockClear();
  await vi.advanceTimersByTimeAsync(600_000);
  expect(list).not.toHaveBeenCalled();
  await move(job("1", "Running", 20));
  expect(list).toHaveBeenCalledOnce();
  expect(running.jobs.map(({ Progress }) => Progress)).toEqual([20]);
  stop();
});

test("where there is no feed they are asked for now and then, and no more once nobody follows", async () => {
  const { list, connect, running } = staged(job("1", "Running", 10));
  const stop = running.follow();
  connect(false);
  list.mockClear();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(list.mock.calls.length).toBeGreaterThan(5);
  stop();
  list.mockClear();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(list).not.toHaveBeenCalled();
});

test("what happens while the server is asked is not missed", async () => {
  const { list, running } = staged(job("1", "Running", 10));
  let answer: (jobs: Job[]) => void = () => undefined;
  list.mockImplementationOnce(() => new Promise((resolve) => (answer = resolve)));
  const first = running.look();
  void running.look();
  answer([job("1", "Running", 5)]);
  await first;
  expect(running.jobs.map(({ Progress }) => Progress)).toEqual([10]);
});

test("a server that is away for a while is asked again when it is back", async () => {
  const { list, connect, running } = staged(job("1", "Running", 10));
  list.mockRejectedValue(new Error("away"));
  const stop = running.follow();
  connect(false);
  await vi.advanceTimersByTimeAsync(1_000);
  list.mockReset();
  list.mockResolvedValue([job("1", "Running", 10)]);
  connect(true);
  await vi.advanceTimersByTimeAsync(100);
  expect(running.jobs.length).toBe(1);
  stop();
});

describe("jobs that were begun here", () => {
  const as = (User: string) => (session.now = { User, AuthenticationEnabled: true, DicomWebRoot: null });
  const begun = () => staged().running.begun; // as on a page that has just been loaded
  beforeEach(() => localStorage.clear());
  afterEach(() => {
    localStorage.clear();
    session.now = null;
  });

  test("are known when the page is loaded again, but to nobody else", () => {
    as("anna");
    const { running } = staged(job("1", "Running"), job("2", "Running"));
    running.watch([{ ID: "1" }], WORDS);
    running.watch([{ ID: "2" }], WORDS);
    expect([running.begun, begun()]).toEqual([
      ["1", "2"],
      ["1", "2"],
    ]);
    as("bert");
    expect(begun()).toEqual([]);
    staged(job("3", "Running")).running.watch([{ ID: "3" }], WORDS);
    expect(begun()).toEqual(["3"]);
  });

  test.each(["{", "null", "7", '["1"]', '{"User":"","Jobs":"1"}', ""])("are none where %s is kept", (kept) => {
    localStorage.setItem("sinogram-jobs", kept);
    expect(begun()).toEqual([]);
  });
});
