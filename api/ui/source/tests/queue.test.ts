import { expect, test, vi } from "vitest";

import { AT_ONCE, type Item, Queue, type Outcome } from "../src/upload/queue.svelte";

const file = (name: string) => ({ name, file: new File(["1234"], name) });

/** A queue whose uploads end when the test says so. */
function staged() {
  const under: { item: Item; end: (outcome: Outcome | Error) => void; progress: (sent: number) => void }[] = [];
  const queue = new Queue(
    (item, progress, signal) =>
      new Promise((resolve, reject) => {
        signal.addEventListener("abort", () => reject(new Error("aborted")));
        under.push({
          item,
          progress,
          end: (outcome) => (outcome instanceof Error ? reject(outcome) : resolve(outcome)),
        });
      }),
  );
  return { queue, under };
}

const STORED = { instances: 1, isKnown: false };

test("only some are sent at a time, and all in the end", async () => {
  const { queue, under } = staged();
  for (let number = 0; number < 10; number += 1) queue.add(file(`${number}`));
  expect(under.map(({ item }) => item.name)).toEqual(["0", "1", "2", "3"].slice(0, AT_ONCE));
  for (let number = 0; number < 10; number += 1) {
    under[number]?.end(STORED);
    await Promise.resolve();
    await vi.waitFor(() => expect(under.length).toBe(Math.min(10, number + 1 + AT_ONCE)));
  }
  await vi.waitFor(() =>
    expect([queue.total, queue.done, queue.failed, queue.instances, queue.isRunning]).toEqual([10, 10, 0, 10, false]),
  );
  expect([queue.bytes, queue.sentBytes]).toEqual([40, 40]);
});

test("a failure is kept with its reason, and can be tried again", async () => {
  const { queue, under } = staged();
  queue.add(file("a"));
  under[0]?.progress(3);
  under[0]?.end(new Error("no DICOM file"));
  await vi.waitFor(() =>
    expect(queue.failures.map(({ name, reason }) => [name, reason])).toEqual([["a", "no DICOM file"]]),
  );
  queue.retry();
  expect(under.length).toBe(2);
  under[1]?.end({ instances: 3, isKnown: true });
  await vi.waitFor(() =>
    expect([queue.total, queue.done, queue.failed, queue.instances, queue.sentBytes]).toEqual([1, 1, 0, 3, 4]),
  );
  expect(queue.shown.map(({ state }) => state)).toEqual(["known"]);
});

test("what is stopped is named", async () => {
  const { queue } = staged();
  for (let number = 0; number < 6; number += 1) queue.add(file(`${number}`));
  queue.stop();
  await vi.waitFor(() => expect(queue.failed).toBe(6));
  expect(queue.failures.every(({ reason }) => reason === "stopped")).toBe(true);
  expect(queue.isRunning).toBe(false);
});

test("of thousands of files the list shows the latest", async () => {
  const { queue } = staged();
  for (let number = 0; number < 3_000; number += 1) queue.add(file(`${number}`));
  await vi.waitFor(() => expect(queue.total).toBe(3_000));
  expect(queue.shown.length).toBe(200);
  expect(queue.shown.at(-1)?.name).toBe("2999");
});

test("all of thousands that have failed can be sent again", async () => {
  const { queue } = staged();
  for (let number = 0; number < 1_500; number += 1) queue.add(file(`${number}`));
  queue.stop();
  await vi.waitFor(() => expect([queue.failed, queue.failures.length]).toEqual([1_500, 1_000]));
  queue.retry();
  await vi.waitFor(() => expect([queue.total, queue.failed, queue.isRunning]).toEqual([1_500, 0, true]));
});

test("a row is drawn again only when something has changed", async () => {
  const { queue, under } = staged();
  for (let number = 0; number < 6; number += 1) queue.add(file(`${number}`));
  await vi.waitFor(() => expect(queue.shown.length).toBe(6));
  const before = queue.shown;
  under[0]?.progress(2);
  await vi.waitFor(() => expect(queue.shown[0]?.sent).toBe(2));
  expect(queue.shown.map((item, place) => item === before[place])).toEqual([false, true, true, true, true, true]);
});
