import { expect, test, vi } from "vitest";

import { Feed } from "../src/api/feed";
import { hear } from "../src/api/hearing";

test("what happened before the feed began is looked for once it has", async () => {
  const source = {
    open: () => Promise.resolve(new ReadableStream<string>().getReader()),
    head: () => Promise.resolve(0),
  };
  const look = vi.fn(() => Promise.resolve());
  const states: boolean[] = [];
  const stop = hear(["study-created"], look, { connected: (now) => states.push(now), of: new Feed(source) });
  await vi.waitFor(() => expect(look).toHaveBeenCalledTimes(1), { timeout: 5_000 });
  expect(states.at(-1)).toBe(true);
  stop();
});
