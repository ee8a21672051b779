import { expect, test } from "vitest";

import { MOST_PIXELS, moved, rowAt, scale, toElement, toList, upperOf } from "../src/parts/place";

const [HEIGHT, SEEN] = [44, 600];

test.each([0, 1, 13, 14, 1000, 340_909, 340_910, 1_000_000, 20_000_000])(
  "a list of %i rows has both its ends",
  (count) => {
    const of = scale(count, HEIGHT, SEEN);
    expect(of.whole).toBeLessThanOrEqual(MOST_PIXELS);
    expect(of.most).toBe(Math.max(0, count * HEIGHT - SEEN));
    expect([toElement(0, of), toList(0, of)]).toEqual([0, 0]);
    expect([toElement(of.most, of), toList(of.way, of)]).toEqual([of.way, of.most]);
  },
);

test.each([1000, 1_000_000])("of %i rows each has a place, and they are in their order", (count) => {
  const of = scale(count, HEIGHT, SEEN);
  let before = -1;
  for (const row of [0, 1, 7, 500, 4545, 4546, 300_000, 600_000, 995_000, 999_000].filter(
    (each) => each < count - 20,
  )) {
    const scrolled = toElement(row * HEIGHT, of);
    expect(scrolled).toBeGreaterThan(before);
    expect(toList(scrolled, of)).toBeCloseTo(row * HEIGHT, 3);
    before = scrolled;
  }
});

test.each([1000, 1_000_000])("of %i rows a step of the wheel passes as many as anywhere", (count) => {
  const of = scale(count, HEIGHT, SEEN);
  for (const part of [0, 0.3, 0.5, 0.999]) {
    const at = part * of.most;
    const scrolled = toElement(at, of);
    expect(moved(at, scrolled, scrolled + 100, of) - at).toBeCloseTo(Math.min(100, of.most - at), 3);
  }
});

test("the wheel alone gets from near an end to it, and back", () => {
  const of = scale(1_000_000, HEIGHT, SEEN);
  let at = of.most - 50_000;
  let scrolled = toElement(at, of);
  while (scrolled < of.way) {
    const next = Math.min(of.way, scrolled + 120);
    [at, scrolled] = [moved(at, scrolled, next, of), next];
  }
  expect(at).toBeCloseTo(of.most, 3);
  for (let step = 0; step < 10; step += 1) [at, scrolled] = [moved(at, scrolled, scrolled - 120, of), scrolled - 120];
  expect(at).toBeCloseTo(of.most - 1200, 3);
});

test("the handle of the scrollbar goes through all of a long list", () => {
  const of = scale(1_000_000, HEIGHT, SEEN);
  expect(moved(0, 0, of.way / 2, of)).toBeCloseTo(of.most / 2, 3);
  expect(moved(of.most / 2, of.way / 2, of.way, of)).toBe(of.most);
  expect(moved(of.most, of.way, 0, of)).toBe(0);
});

test.each([20, 1000, 1_000_000])("of %i rows those behind an unfolded one are lower by what it shows", (count) => {
  const unfolded = { index: 7, height: 190 };
  const [plain, of] = [scale(count, HEIGHT, SEEN), scale(count, HEIGHT, SEEN, unfolded)];
  expect(of.most).toBe(plain.most + 190);
  expect([6, 7, 8, 9].map((row) => upperOf(row, HEIGHT, unfolded))).toEqual([264, 308, 542, 586]);
  for (const row of [0, 7, 8, count - 1]) expect(rowAt(upperOf(row, HEIGHT, unfolded), HEIGHT, unfolded)).toBe(row);
  // What it shows is part of it, from its upper edge to its lower one.
  for (const place of [352, 353, 500, 541]) expect(Math.floor(rowAt(place, HEIGHT, unfolded))).toBe(7);
});
