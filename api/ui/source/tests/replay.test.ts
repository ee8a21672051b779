import { expect, test, vi } from "vitest";

import { LineReader, type Call, type ReplayLine, type Replays } from "../src/api/lua";
import { lineOf, newDraft, requestOf, subjectOf } from "../src/scripts/draft.svelte";
import { duration } from "../src/scripts/duration";
import { MOST_KEPT, Replaying } from "../src/scripts/replaying.svelte";

const call = (given: Partial<Call> = {}): Call => ({
  Callback: "OnStoredInstance",
  Event: 1,
  Date: null,
  Resource: "x",
  Partial: false,
  Effects: [],
  LeftOut: 0,
  Error: null,
  Seconds: 0.001,
  ...given,
});
const FAILED = call({ Error: { Cause: "error", Message: "a.lua:2: no", Script: "a.lua", Line: 2 } });
const SENDS = call({ Effects: [{ Kind: "job", Text: "send x to modality pacs" }] });
const PLACE = { Position: 9, Events: 9, Calls: { OnStoredInstance: 3 }, Effects: { job: 1 }, Failed: 1 };

const telling = (...lines: ReplayLine[]): Replays =>
  async function* () {
    await Promise.resolve();
    yield* lines;
  };

test.each([1, 2, 5, 1000])("lines are the same however the text is cut (%i)", (size) => {
  const text = '{"a":1}\n\n{"b":2}\n{"half';
  const reader = new LineReader();
  const lines = [];
  for (let start = 0; start < text.length; start += size) lines.push(...reader.take(text.slice(start, start + size)));
  expect(lines).toEqual(['{"a":1}', '{"b":2}']);
});

test("what a replay tells is counted and kept by its kind", async () => {
  const made = new Replaying(
    telling({ Since: 1, Until: 9 }, FAILED, SENDS, call(), { Done: true, Message: null, ...PLACE }),
  );
  await made.begin({});
  expect(made.state).toBe("done");
  expect(made.events).toBe(9);
  expect(made.told.counts).toEqual({ failed: 1, effects: 1, silent: 1 });
  expect(made.told.calls.map(({ kind, number }) => [kind, number])).toEqual([
    ["failed", 1],
    ["effects", 2],
    ["silent", 3],
  ]);
  expect(made.told.place).toMatchObject(PLACE);
});

test("of a million calls the first of each kind are kept, and a failure at their end", async () => {
  const made = new Replaying(async function* () {
    await Promise.resolve();
    yield { Since: 1, Until: 1_000_001 };
    for (let number = 0; number < 1_000_000; number += 1) yield SENDS;
    yield FAILED;
    yield { Done: true, Message: null, ...PLACE };
  });
  await made.begin({});
  expect(made.told.counts).toEqual({ failed: 1, effects: 1_000_000, silent: 0 });
  expect(made.told.calls.length).toBe(MOST_KEPT.effects + 1);
  expect(made.told.calls.at(-1)).toMatchObject({ kind: "failed", number: 1_000_001 });
});

test("an answer without its last line was cut off", async () => {
  const made = new Replaying(telling({ Since: 1, Until: 9 }, SENDS));
  await made.begin({});
  expect([made.state, made.message, made.told.calls.length]).toEqual(["ended", null, 1]);
});

test("why it ended before its end is told", async () => {
  const made = new Replaying(telling({ Since: 1, Until: 9 }, { Done: false, Message: "The server stops" }));
  await made.begin({});
  expect([made.state, made.message]).toEqual(["ended", "The server stops"]);
});

test("a refusal is kept as an error", async () => {
  const refusal = new Error("not allowed");
  // eslint-disable-next-line require-yield
  const made = new Replaying(async function* () {
    await Promise.reject(refusal);
  });
  await made.begin({});
  expect([made.state, made.error]).toEqual(["failed", refusal]);
});

test("one that is stopped tells nothing more, and the next one begins anew", async () => {
  let signal: AbortSignal | undefined;
  let goOn = () => {};
  const asked = vi.fn<Replays>(async function* (_, given) {
    signal ??= given;
    yield SENDS;
    await new Promise<void>((resolve) => (goOn = resolve));
    yield FAILED;
  });
  const made = new Replaying(asked);
  const first = made.begin({});
  await vi.waitFor(() => expect(made.told.calls.length).toBe(1));
  made.cancel();
  expect([made.state, signal?.aborted]).toEqual(["cancelled", true]);
  goOn();
  await first;
  expect([made.state, made.told.counts.failed]).toEqual(["cancelled", 0]);
  const second = made.begin({ Last: 1 });
  await vi.waitFor(() => expect(made.told.calls.length).toBe(1));
  expect(made.state).toBe("running");
  goOn();
  await second;
});

test("what is filled in is what is asked for", () => {
  const own = { ...newDraft(), name: "a.lua", source: "x" };
  const Scripts = [{ Name: "a.lua", Source: "x" }];
  expect(requestOf(own)).toEqual({ Scripts, Last: 1_000 });
  expect(requestOf({ ...own, by: "numbers", since: 7 })).toEqual({ Scripts, Since: 7 });
  expect(requestOf({ ...own, origin: "configured", by: "numbers", since: 7, until: 9 })).toEqual({
    Since: 7,
    Until: 9,
  });
  const times = requestOf({ ...own, origin: "configured", by: "times", from: "2026-11-20T08:00", to: "" });
  expect(times).toEqual({ From: new Date(2026, 10, 20, 8).toISOString() });
});

test("a line of a script is found", () => {
  const text = "one\ntwo\n\nfour";
  expect([1, 2, 3, 4, 9].map((line) => text.slice(...lineOf(text, line)))).toEqual(["one", "two", "", "four", ""]);
});

test("what a callback is told of has its place in the page, unless it is gone", () => {
  expect(subjectOf("OnStoredInstance", "x")).toEqual({ path: "/instances/x", word: "level.Instance" });
  expect(subjectOf("OnStableStudy", "x")).toEqual({ path: "/studies/x", word: "level.Study" });
  expect(subjectOf("OnUpdatedSeries", "x")).toEqual({ path: "/series/x", word: "level.Series" });
  expect(subjectOf("OnJobFailure", "x")).toEqual({ path: "/jobs", word: "nav.jobs" });
  expect(subjectOf("OnDeletedPatient", "x")).toBeNull();
});

test("short times are readable", () => {
  expect([0.0000012, 0.00049, 0.0123, 0.4567, 3.21, 321.4].map((seconds) => duration(seconds, "en"))).toEqual([
    "1.2 µs",
    "490 µs",
    "12 ms",
    "457 ms",
    "3.2 s",
    "321 s",
  ]);
});
