import { expect, test } from "vitest";

import { mayRenew } from "../src/parts/renewal";

test("a page that misses a part is loaded anew, but not in a circle", () => {
  const kept = new Map<string, string>();
  const storage = {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
  } as unknown as Storage;
  const at = Date.UTC(2026, 0, 1);
  expect([at, at + 1, at + 59_999, at + 60_000, at + 60_001].map((now) => mayRenew(now, storage))).toEqual([
    true,
    false,
    false,
    true,
    false,
  ]);
});
