import { expect, test } from "vitest";

import { append, bounds, type Frame, labelled, line, MOST, type Point, rate, ticks } from "../src/system/plot";

test.each([
  [null, { at: 2_000, count: 5 }, null],
  [{ at: 1_000, count: 1 }, { at: 3_000, count: 5 }, 2],
  [{ at: 1_000, count: 5 }, { at: 3_000, count: 5 }, 0],
  [{ at: 1_000, count: 9 }, { at: 3_000, count: 5 }, null], // the server has begun anew
  [{ at: 3_000, count: 1 }, { at: 3_000, count: 5 }, null],
  [{ at: 1_000, count: null }, { at: 3_000, count: 5 }, null],
])("the rate between %o and %o is %s", (before, now, expected) => {
  expect(rate(before, now)).toBe(expected);
});

test("points are bounded, and the oldest go", () => {
  let points: Point[] = [];
  for (let at = 0; at < MOST + 5; at += 1) points = append(points, { at, value: 1 });
  expect([points.length, points[0]?.at, points.at(-1)?.at]).toEqual([MOST, 5, MOST + 4]);
});

test.each([
  [0, 10, 3, [0, 5, 10]],
  [0, 7, 3, [0, 5, 10]],
  [0, 0.3, 3, [0, 0.1, 0.2, 0.3]],
  [0, 1, 3, [0, 0.5, 1]],
  [1_000_000, 1_000_030, 3, [1_000_000, 1_000_010, 1_000_020, 1_000_030]],
  [5, 5, 3, [5, 6]],
])("marks from %d to %d, some %i", (low, high, count, expected) => {
  expect(ticks(low, high, count)).toEqual(expected);
});

test.each([-3, 0, 0.001, 17, 12_345_678])("marks hold what they are of, and are few (%d)", (low) => {
  for (const span of [0.0007, 1, 3.3, 99, 123_456]) {
    const marks = ticks(low, low + span, 3);
    expect(marks[0]).toBeLessThanOrEqual(low);
    expect(marks.at(-1)).toBeGreaterThanOrEqual(low + span * 0.9999);
    expect(marks.length).toBeLessThanOrEqual(6);
  }
});

test("bounds hold all values; a size is shown from near", () => {
  const points = [100, null, 103].map((value, at) => ({ at, value }));
  expect(bounds(points, true)).toMatchObject({ low: 0, high: 150 });
  expect(bounds(points, false)).toMatchObject({ low: 100, high: 103 });
  const flat = bounds([{ at: 1, value: 500 }], false);
  expect(flat.low).toBeLessThanOrEqual(500);
  expect(flat.high).toBeGreaterThan(500);
  expect(bounds([], true)).toMatchObject({ low: 0, high: 1 });
});

test("a gap interrupts the line", () => {
  const frame: Frame = { from: 0, to: 4, low: 0, high: 10, width: 40, height: 100 };
  const points = [0, 5, null, 10, 0].map((value, at) => ({ at, value }));
  expect(line(points, frame)).toBe("M0.0 100.0L10.0 50.0M30.0 0.0L40.0 100.0");
});

test("marks are written with as few digits as tell them apart", () => {
  const write = (value: number, digits = 0) => value.toFixed(digits);
  expect(labelled([0, 5, 10], write)).toEqual(["0", "5", "10"]);
  expect(labelled([22.4, 22.45, 22.5], write)).toEqual(["22.40", "22.45", "22.50"]);
  expect(labelled([1, 1], write)).toEqual(["1", "1"]);
});
