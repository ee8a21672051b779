import { afterEach, beforeEach, expect, test, vi } from "vitest";

import type { Resource } from "../src/api/archive";
import { pictureOf, Thumbnails } from "../src/parts/thumbnails";

interface Asked {
  address: string;
  answer: (blob: Blob | null) => void;
  fail: () => void;
}

let asked: Asked[] = [];
const fetchBlob = (address: string, signal: AbortSignal) =>
  new Promise<Blob | null>((resolve, reject) => {
    asked.push({ address, answer: resolve, fail: () => reject(new Error("away")) });
    signal.addEventListener("abort", () => reject(signal.reason as Error));
  });
const never = () => new AbortController().signal;
const settled = () => new Promise((resolve) => setTimeout(resolve));

beforeEach(() => {
  asked = [];
  let last = 0;
  Object.assign(URL, { createObjectURL: () => `blob:${++last}`, revokeObjectURL: vi.fn() });
});

afterEach(() => void vi.unstubAllGlobals());

test("two are fetched at a time, in the order in which they were asked for", async () => {
  const made = new Thumbnails(fetchBlob);
  const all = ["a", "b", "c", "d"].map((name) => made.load(name, name, never()));
  expect(asked.map((each) => each.address)).toEqual(["a", "b"]);
  asked[1]?.answer(new Blob());
  await settled();
  asked[0]?.answer(null);
  await settled();
  expect(asked.map((each) => each.address)).toEqual(["a", "b", "c", "d"]);
  asked[2]?.answer(new Blob());
  asked[3]?.answer(new Blob());
  expect(await Promise.all(all)).toEqual([null, "blob:1", "blob:2", "blob:3"]);
});

test("who has gone out of sight is not fetched, and holds up nobody", async () => {
  const made = new Thumbnails(fetchBlob);
  const controllers = ["a", "b", "c", "d"].map(() => new AbortController());
  const all = ["a", "b", "c", "d"].map((name, place) => made.load(name, name, controllers[place]?.signal ?? never()));
  const outcomes = Promise.allSettled(all);
  controllers[2]?.abort(); // while it waits
  controllers[0]?.abort(); // while it is fetched
  await settled();
  expect(asked.map((each) => each.address)).toEqual(["a", "b", "d"]);
  asked[1]?.fail();
  asked[2]?.answer(new Blob());
  expect((await outcomes).map((each) => each.status)).toEqual(["rejected", "rejected", "rejected", "fulfilled"]);
  expect(made.peek("b")).toBeUndefined(); // it is asked for again
});

test("those that were shown last are there at once", async () => {
  const made = new Thumbnails((address) => Promise.resolve(address === "none" ? null : new Blob()));
  expect(made.peek("none")).toBeUndefined();
  await made.load("none", "none", never());
  expect(made.peek("none")).toBeNull();
  for (let number = 0; number < 400; number += 1) await made.load("x", `x${number}`, never());
  expect(made.peek("none")).toBeUndefined();
  expect(made.peek("x399")).toBe("blob:400");
  expect(URL.revokeObjectURL).not.toHaveBeenCalled();
  await made.load("x", "x400", never());
  expect(URL.revokeObjectURL).toHaveBeenCalledWith("blob:1");
});

test("a failure that passes is no picture that is not there", async () => {
  let status = 0;
  vi.stubGlobal("fetch", () => Promise.resolve(new Response(status === 200 ? "x" : null, { status })));
  const made = new Thumbnails();
  for (status of [401, 500, 503]) {
    await expect(made.load("a", "a", never())).rejects.toThrow();
    expect(made.peek("a")).toBeUndefined();
  }
  status = 200;
  expect(await made.load("a", "a", never())).toBe("blob:1");
  status = 204;
  expect(await made.load("b", "b", never())).toBeNull();
});

test("what may look otherwise is another picture", () => {
  const resource = (more: Partial<Resource>): Resource => ({
    ID: "x",
    Type: "Instance",
    MainDicomTags: {},
    Labels: [],
    ...more,
  });
  const pictures = [
    resource({ FileUuid: "1" }),
    resource({ FileUuid: "2" }), // it was overwritten
    resource({ Type: "Series", LastUpdate: "20260101T000000" }),
    resource({ Type: "Series", LastUpdate: "20260101T000001" }),
  ].map((each) => pictureOf(each, 96));
  expect(new Set(pictures.map(({ key }) => key)).size).toBe(4);
  expect(pictureOf(resource({ FileUuid: "1", Labels: ["new"] }), 96)).toEqual(pictures[0]);
  expect(pictures[1]?.address).toBe("/instances/x/thumbnail?size=96");
});
