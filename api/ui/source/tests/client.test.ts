import { afterEach, expect, test, vi } from "vitest";

import { ask, endRequests } from "../src/api/client";

afterEach(() => void vi.unstubAllGlobals());

test("what is being asked ends with the session, and what is asked later does not", async () => {
  const signals: (AbortSignal | null | undefined)[] = [];
  vi.stubGlobal("fetch", (_path: string, init: RequestInit) => {
    signals.push(init.signal);
    return Promise.resolve(new Response());
  });
  const own = new AbortController();
  await ask("/one");
  await ask("/other", { signal: own.signal });
  endRequests();
  await ask("/later", { signal: own.signal });
  expect(signals.map((signal) => signal?.aborted)).toEqual([true, true, false]);
  own.abort();
  expect(signals.at(-1)?.aborted).toBe(true);
});
