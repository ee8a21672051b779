import { afterEach, expect, test, vi } from "vitest";

import { type ArchiveEvent, seqAt } from "../src/api/events";
import { jobOf, summaryOf, toneOf, whoOf } from "../src/events/summary";
import { FAMILIES, grouped, toggled } from "../src/events/types";

afterEach(() => vi.unstubAllGlobals());

const event = (Tag: string, Values: Record<string, unknown> = {}, Seq = 7): ArchiveEvent => ({
  Seq,
  Tag,
  AtMicroseconds: 0,
  Actor: "rest",
  Aggregate: "",
  Correlation: "",
  Values,
});

test("an event says in one line what it is about, and who has caused it", () => {
  const patient_tags = { "0010,0010": "Doe^Jane", "0010,0020": "P1" };
  const tags = { "0008,0020": "20260131", "0008,1030": "Knee" };
  expect(summaryOf(event("study-created/1", { patient_tags, tags }))).toBe("Doe, Jane · P1 · Knee · Jan 31, 2026");
  expect(summaryOf(event("label-added/1", { label: "trial", username: "anna", resource: 3 }))).toBe("trial");
  expect(summaryOf(event("rows-purged/2", { deleted: [[4, "x"]], limit: 250 }))).toBe("");
  expect(whoOf(event("label-added/1", { username: "anna", remote_ip: "10.0.0.7" }))).toBe("anna · rest · 10.0.0.7");
  expect(whoOf(event("instance-stored/2", { username: "", remote_aet: "CT", remote_ip: "127.0.0.1" }))).toBe(
    "CT · rest",
  );
});

test("a job is known by its first event", () => {
  expect(jobOf(event("job-submitted/1", {}, 5))).toBe(5);
  expect(jobOf(event("job-failed/1", { job: 5 }, 9))).toBe(5);
  expect(jobOf(event("label-added/1", { job: 5 }))).toBeNull();
});

test("what is lost or has failed is seen at a glance", () => {
  expect(["job-failed", "resource-deleted", "job-succeeded", "study-created", "job-started"].map(toneOf)).toEqual([
    "bad",
    "bad",
    "good",
    "new",
    "plain",
  ]);
});

test("types are chosen by families or one by one", () => {
  const all = toggled(["job-failed", "file-damaged"], "jobs");
  expect(grouped(all)).toEqual({ families: ["jobs"], single: ["file-damaged"] });
  expect(all.length).toBe(FAMILIES.jobs.length + 1);
  expect(toggled(all, "jobs")).toEqual(["file-damaged"]);
});

test("the last event up to a moment is found by halves", async () => {
  // Numbers have gaps where nothing is told of events; two have the same time.
  const times = new Map([3, 4, 8, 9, 12].map((seq) => [seq, seq === 9 ? 80 : seq * 10]));
  vi.stubGlobal("fetch", () => Promise.resolve(new Response('{"Head": 12}')));
  let asked = 0;
  const following = (since: number) => {
    asked += 1;
    const seq = [...times.keys()].find((one) => one > since);
    return Promise.resolve(
      seq === undefined ? undefined : { ...event("x/1", {}, seq), AtMicroseconds: (times.get(seq) ?? 0) * 1000 },
    );
  };
  for (const [moment, seq] of [
    [29, null],
    [30, 3],
    [79, 4],
    [80, 9],
    [119, 9],
    [120, 12],
    [999, 12],
  ] as const)
    // prettier-ignore
    expect([moment, await seqAt(moment, following)]).toEqual([moment, seq]);
  expect(asked).toBeLessThan(7 * 5);
});
