import { expect, test } from "vitest";

import { ago, bytes, day, personName, time } from "../src/parts/values";

test.each([
  ["DOE^JOHN", "DOE, JOHN"],
  ["DOE^JOHN^Q^DR^JR", "DOE, DR JOHN Q, JR"],
  ["Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou"],
  ["DOE", "DOE"],
  ["", ""],
  ["^^^^", "^^^^"],
])("the name %s is shown as %s", (value, shown) => {
  expect(personName(value)).toBe(shown);
});

test.each([
  ["20260131", "Jan 31, 2026"],
  ["2026.01.31", "Jan 31, 2026"],
  ["20260231", "20260231"],
  ["", ""],
  ["unknown", "unknown"],
])("the date %s is shown as %s", (value, shown) => {
  expect(day(value, "en")).toBe(shown);
});

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1500, "1.5 kB"],
  [170_000_000, "170 MB"],
])("%i bytes are shown as %s", (count, shown) => {
  expect(bytes(count, "en")).toBe(shown);
});

test.each([
  ["083015.5", "8:30 AM"],
  ["2359", "11:59 PM"],
  ["08:30", "8:30 AM"],
  ["2460", ""],
  ["", ""],
])("the time %s is shown as %s", (value, shown) => {
  expect(time(value, "en-US").replace("\u202f", " ")).toBe(shown);
});

test.each([
  ["20260301", "today"],
  ["20260228", "yesterday"],
  ["20260215", "14 days ago"],
  ["20260214", ""],
  ["20260302", ""],
  ["soon", ""],
])("the day %s is %s", (value, shown) => {
  expect(ago(value, "en", new Date(2026, 2, 1, 23, 59))).toBe(shown);
});
