import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { type ArchiveEvent } from "../src/api/events";
import { Feed, fits, MOST_BEHIND, unite } from "../src/api/feed";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A feed whose streams say what the test says. */
function staged(head = 10) {
  const streams: { path: string; signal: AbortSignal; say: (seq: number, tag?: string, level?: string) => void }[] = [];
  const source = {
    head: () => Promise.resolve(head),
    open: (path: string, signal: AbortSignal) => {
      let send: ReadableStreamDefaultController<string>;
      const stream = new ReadableStream<string>({ start: (controller) => void (send = controller) });
      const say = (seq: number, tag = "head", level = "Study") => {
        const data = JSON.stringify({ Seq: seq, Tag: tag, Resource: { Level: level } });
        send.enqueue(`id: ${seq}\nevent: ${tag}\ndata: ${data}\n\n`);
      };
      streams.push({ path, signal, say });
      return Promise.resolve(stream.getReader());
    },
  };
  return { feed: new Feed(source), streams };
}

const settle = () => vi.advanceTimersByTimeAsync(100);

test("all listeners share one stream, and each hears what it asked for", async () => {
  const { feed, streams } = staged(12);
  const [one, other]: [number[], number[]] = [[], []];
  feed.follow({ types: ["study-created"] }, { heard: ({ Seq }) => one.push(Seq) });
  const stop = feed.follow({ types: ["job-failed", "study-created"] }, { heard: ({ Seq }) => other.push(Seq) });
  await settle();
  expect(streams.map(({ path }) => path)).toEqual(["/events?since=now&types=job-failed%2Cstudy-created"]);
  streams[0]?.say(11, "study-created/1");
  streams[0]?.say(12, "job-failed/1");
  await settle();
  expect([one, other]).toEqual([[11], [11, 12]]);
  stop();
  await settle();
  expect(streams.map(({ signal }) => signal.aborted)).toEqual([true, false]);
  expect(streams[1]?.path).toBe("/events?since=12&types=study-created");
});

test("who comes later with an older place hears what lies between, and the others hear nothing twice", async () => {
  const { feed, streams } = staged(12);
  const [one, other]: [number[], number[]] = [[], []];
  feed.follow({}, { heard: ({ Seq }) => one.push(Seq) });
  await settle();
  streams[0]?.say(12, "study-created/1");
  await settle();
  feed.follow({}, { heard: ({ Seq }) => other.push(Seq) }, 10);
  await settle();
  expect(streams[1]?.path).toBe("/events?since=10");
  for (const seq of [11, 12, 13]) streams[1]?.say(seq, "study-created/1");
  await settle();
  expect([one, other]).toEqual([
    [12, 13],
    [11, 12, 13],
  ]);
});

test("who was away for too long is told to look again", async () => {
  const { feed, streams } = staged(MOST_BEHIND + 50);
  const missed = vi.fn();
  feed.follow({}, { heard: () => undefined, missed }, 40);
  await settle();
  expect([missed.mock.calls.length, streams[0]?.path]).toEqual([1, `/events?since=${MOST_BEHIND + 50}`]);
});

test("a hidden tab has no stream, and goes on where it was", async () => {
  const { feed, streams } = staged();
  feed.follow({}, { heard: () => undefined });
  await settle();
  streams[0]?.say(8);
  await settle();
  const visibility = vi.spyOn(document, "visibilityState", "get").mockReturnValue("hidden");
  document.dispatchEvent(new Event("visibilitychange"));
  await settle();
  expect(streams.map(({ signal }) => signal.aborted)).toEqual([true]);
  visibility.mockRestore();
  document.dispatchEvent(new Event("visibilitychange"));
  await settle();
  expect(streams[1]?.path).toBe("/events?since=8");
});

test("filters are united, and events sorted by them", () => {
  expect(unite([{ types: ["a"] }, { types: ["b", "a"], levels: ["Study"] }])).toEqual({
    types: ["a", "b"],
    levels: [],
  });
  expect(unite([{ types: ["a"] }, {}])).toEqual({ types: [], levels: [] });
  const event = { Tag: "study-created/1", Resource: { Level: "Study" } } as ArchiveEvent;
  expect([{ types: ["study-created"] }, { types: ["study-created/1"] }, { levels: ["Study"] }, {}].map((each) => fits(event, each))).toEqual([true, true, true, true]); // prettier-ignore
  expect([{ types: ["study"] }, { levels: ["Series"] }].map((each) => fits(event, each))).toEqual([false, false]);
});
