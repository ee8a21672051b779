import { expect, test, vi } from "vitest";

import type { Batch } from "../src/upload/batch.svelte";
import { type Outcome, Refused, type Stored } from "../src/upload/post";
import { AT_ONCE, Queue } from "../src/upload/queue.svelte";

const file = (name: string) => ({ name, file: new File(["1234"], name) });

/** A queue whose uploads end when the test says so. */
function staged() {
  const under: { name: string; end: (outcome: Outcome | Error) => void; progress: (sent: number) => void }[] = [];
  const asked: string[][] = [];
  const queue = new Queue(
    (name, _, progress, signal) =>
      new Promise((resolve, reject) => {
        signal.addEventListener("abort", () => reject(new Error("aborted")));
        under.push({
          name,
          progress,
          end: (outcome) => (outcome instanceof Error ? reject(outcome) : resolve(outcome)),
        });
      }),
    async (arrived) => {
      asked.push(arrived.map(({ study }) => study));
      return arrived.map((one) => ({ ...one, resource: null, modalities: [] }));
    },
  );
  return { queue, under, asked };
}

let last = 0;
const stored = (study = "a", part: Partial<Stored> = {}): Stored => ({
  ID: `i${++last}`,
  ParentStudy: study,
  ParentSeries: `${study}1`,
  Status: "Success",
  ...part,
});
const one = (): Outcome => ({ stored: [stored()], left: [] });

function fill(batch: Batch, count: number): void {
  for (let number = 0; number < count; number += 1) batch.add(file(`${number}`));
}

test("only some are sent at a time, and all in the end", async () => {
  const { queue, under } = staged();
  const batch = queue.open();
  fill(batch, 10);
  expect(under.map(({ name }) => name)).toEqual(["0", "1", "2", "3"].slice(0, AT_ONCE));
  for (let number = 0; number < 10; number += 1) {
    under[number]?.end(one());
    await vi.waitFor(() => expect(under.length).toBe(Math.min(10, number + 1 + AT_ONCE)));
  }
  await vi.waitFor(() =>
    expect([batch.total, batch.done, batch.failed, batch.stored, batch.isRunning]).toEqual([10, 10, 0, 10, false]),
  );
  expect([batch.bytes, batch.sentBytes]).toEqual([40, 40]);
});

test("each upload has its own result, and the first goes first", async () => {
  const { queue, under } = staged();
  const [first, second] = [queue.open(), queue.open()];
  fill(first, AT_ONCE);
  second.add(file("disc/later"));
  expect(under.length).toBe(AT_ONCE);
  under.forEach(({ end }) => end(one()));
  await vi.waitFor(() => expect(under.at(-1)?.name).toBe("disc/later"));
  under.at(-1)?.end({ stored: [], left: [{ name: "disc/later", kind: "other", reason: "", count: 1 }] });
  await vi.waitFor(() => expect([second.done, second.stored, second.counts.other]).toEqual([1, 0, 1]));
  expect([first.done, first.stored, first.counts.other]).toEqual([AT_ONCE, AT_ONCE, 0]);
  expect(queue.batches).toEqual([second, first]);
  expect(second.title).toBe("disc");
});

test("an upload is called by the folder, or by the only file", () => {
  const named = (...names: string[]) => {
    const batch = staged().queue.open();
    names.forEach((name) => batch.add(file(name)));
    return batch.title;
  };
  expect(named("disc/a", "disc/b/c")).toBe("disc");
  expect(named("a")).toBe("a");
  expect(named("a", "b")).toBe("");
  expect(named("disc/a", "other/b", "disc/c")).toBe("");
});

test("a failure that may pass can be tried again, another cannot", async () => {
  const { queue, under } = staged();
  const batch = queue.open();
  fill(batch, 2);
  under[0]?.progress(3);
  under[0]?.end(new Refused("the disk is full", true));
  under[1]?.end(new Refused("too large", false));
  await vi.waitFor(() => expect([batch.failed, batch.passing]).toEqual([2, 1]));
  expect(batch.failures.map(({ name, reason }) => [name, reason])).toEqual([
    ["0", "the disk is full"],
    ["1", "too large"],
  ]);
  batch.retry();
  expect(under.map(({ name }) => name)).toEqual(["0", "1", "0"]);
  under[2]?.end({ stored: [stored(), stored(), stored()], left: [] });
  await vi.waitFor(() =>
    expect([batch.total, batch.done, batch.failed, batch.passing, batch.stored]).toEqual([2, 2, 1, 0, 3]),
  );
  expect(batch.failures.map(({ name }) => name)).toEqual(["1"]);
});

test("what is stopped is named, also what is found later", async () => {
  const { queue, under } = staged();
  const batch = queue.open();
  fill(batch, 6);
  batch.stop();
  batch.add(file("later"));
  await vi.waitFor(() => expect([batch.failed, batch.passing, batch.isRunning]).toEqual([7, 7, false]));
  expect(under.length).toBe(AT_ONCE);
  batch.retry();
  await vi.waitFor(() => expect([batch.failed, batch.isRunning]).toEqual([0, true]));
});

test("what a browser cannot read is named, and the others are sent", async () => {
  const { queue, under } = staged();
  const batch = queue.open();
  await batch.addAll([{ name: "disc/locked", file: null, reason: "no permission" }, file("disc/good")]);
  under[0]?.end(one());
  await vi.waitFor(() => expect([batch.done, batch.failed, batch.passing, batch.stored]).toEqual([2, 1, 0, 1]));
  expect(batch.failures.map(({ name, reason }) => [name, reason])).toEqual([["disc/locked", "no permission"]]);
});

test("of thousands of files some are named, and all are counted and can be sent again", async () => {
  const { queue, under } = staged();
  const batch = queue.open();
  fill(batch, 1_500);
  batch.stop();
  await vi.waitFor(() => expect([batch.total, batch.failed, batch.failures.length]).toEqual([1_500, 1_500, 200]));
  batch.retry();
  await vi.waitFor(() => expect([batch.total, batch.failed, batch.isRunning]).toEqual([1_500, 0, true]));
  const left = Array.from({ length: 300 }, (_, place) => ({
    name: `${place}`,
    kind: "image" as const,
    reason: "",
    count: 1,
  }));
  under.at(-1)?.end({ stored: [], left });
  await vi.waitFor(() => expect([batch.counts.image, batch.left.image.length]).toEqual([300, 200]));
});

test("studies are counted from the answers, and asked about once all is there", async () => {
  const { queue, under, asked } = staged();
  const batch = queue.open();
  fill(batch, 3);
  const again = stored("b", { ID: "twice" });
  under[0]?.end({ stored: [stored("a"), stored("a", { ParentSeries: "a2" })], left: [] });
  under[1]?.end({ stored: [stored("b", { Status: "AlreadyStored" }), again], left: [] });
  await vi.waitFor(() => expect(batch.done).toBe(2));
  expect(asked).toEqual([]);
  under[2]?.end({ stored: [{ ...again, Status: "AlreadyStored" }], left: [] });
  await vi.waitFor(() => expect(asked).toEqual([["a", "b"]]));
  expect(
    batch.studies.map(({ study, series, instances, known }) => [study, series.size, instances.size, known]),
  ).toEqual([
    ["a", 2, 2, 0],
    ["b", 1, 2, 1],
  ]);
  expect([batch.stored, batch.known]).toEqual([3, 2]);
});

test("of thousands of studies the first are described, and all are counted", async () => {
  const { queue, under, asked } = staged();
  const batch = queue.open();
  batch.add(file("all.zip"));
  under[0]?.end({ stored: Array.from({ length: 3_000 }, (_, place) => stored(`s${place}`)), left: [] });
  await vi.waitFor(() => expect([batch.studyCount, batch.studies.length]).toEqual([3_000, 100]));
  expect(asked.map(({ length }) => length)).toEqual([100]);
});

test("studies are shown even if the server does not describe them", async () => {
  const queue = new Queue(
    async () => one(),
    () => Promise.reject(new Error("away")),
  );
  const batch = queue.open();
  batch.add(file("a"));
  await vi.waitFor(() => expect(batch.studies.map(({ study, resource }) => [study, resource])).toEqual([["a", null]]));
});
