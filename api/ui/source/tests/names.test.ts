import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Names } from "../src/work/names.svelte";

/** What the server was asked for, and what it answers that with. */
let asked: string[][] = [];
let answer: (ids: string[]) => Response;

const told = (ids: string[]) =>
  Response.json(ids.map((ID) => ({ ID, Type: "Series", MainDicomTags: { SeriesDescription: ID }, Labels: [] })));
const called = (id: string) => `Series “${id}”`;
const numbers = (count: number) => Array.from({ length: count }, (_, number) => `${number}`);

beforeEach(() => {
  vi.useFakeTimers();
  [asked, answer] = [[], told];
  vi.stubGlobal("fetch", (_path: string, { body }: RequestInit) => {
    const ids = body === undefined ? [] : (JSON.parse(body as string) as { Resources: string[] }).Resources;
    asked.push(ids);
    return Promise.resolve(answer(ids));
  });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("all that are wanted are asked for, a hundred at a time", async () => {
  const names = new Names();
  for (const id of numbers(250)) names.want(id);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(asked.map((ids) => ids.length)).toEqual([100, 100, 50]);
  expect(numbers(250).filter((id) => names.of(id) !== called(id))).toEqual([]);
  names.want("7");
  await vi.advanceTimersByTimeAsync(10_000);
  expect(asked.length).toBe(3);
});

test("those that could not be told are asked for again", async () => {
  const names = new Names();
  answer = () => new Response("{}", { status: 503 });
  for (const id of numbers(150)) names.want(id);
  await vi.advanceTimersByTimeAsync(1_000);
  expect([asked.length, names.of("0")]).toEqual([1, undefined]);
  answer = told;
  await vi.advanceTimersByTimeAsync(10_000);
  expect([names.of("0"), names.of("149")]).toEqual([called("0"), called("149")]);
});

test("nobody asks after a logout, but after the next login", async () => {
  const names = new Names();
  answer = () => new Response("{}", { status: 401 });
  names.want("1");
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked.length).toBe(1);
  answer = told;
  names.want("2");
  await vi.advanceTimersByTimeAsync(1_000);
  expect([names.of("1"), names.of("2")]).toEqual([called("1"), called("2")]);
});

test("what is gone is asked for again where its log could not be read, and not where it is gone, too", async () => {
  const names = new Names();
  answer = () => new Response("{}", { status: 503 });
  await names.wantGone("/series/1", "1");
  expect(names.of("1")).toBeUndefined();
  answer = () => new Response("{}", { status: 404 });
  await names.wantGone("/series/1", "1");
  expect(names.of("1")).toBe("");
  await names.wantGone("/series/1", "1");
  expect(asked.length).toBe(2);
});
