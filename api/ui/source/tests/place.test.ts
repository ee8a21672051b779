import { expect, test } from "vitest";

import { MOST_PIXELS, place } from "../src/parts/place";

test.each([1, 13, 14, 1000, 340_909, 1_000_000, 20_000_000])("a list of %i rows goes to its end", (count) => {
  const [height, seen] = [44, 600];
  const top = place(count, height, seen, 0);
  expect([top.first, top.offset(0)]).toEqual([0, 0]);
  expect(top.whole).toBeLessThanOrEqual(MOST_PIXELS);
  const end = Math.max(0, top.whole - seen);
  const bottom = place(count, height, seen, end);
  // The lower edge of the last row is that of what is in sight, or of a short list.
  expect(bottom.offset(0) + count * height).toBeCloseTo(count * height > seen ? end + seen : count * height, 3);
  expect(top.scrollTo(0)).toBe(0);
  expect(top.scrollTo(count)).toBeCloseTo(end, 3);
});

test.each([1000, 1_000_000])("of %i rows each is at the top once scrolled to", (count) => {
  for (const row of [0, 1, 7, 500, count - 20]) {
    const there = place(count, 44, 600, place(count, 44, 600, 0).scrollTo(row));
    expect(there.first).toBeCloseTo(row, 3);
    expect(there.offset(row)).toBeCloseTo(there.scrollTo(row), 1);
  }
});

test("rows move as far as they are scrolled, as long as a browser lets the list be so tall", () => {
  const [one, other] = [place(1000, 44, 600, 1000), place(1000, 44, 600, 1010)];
  expect((other.first - one.first) * 44).toBeCloseTo(10, 6);
});
