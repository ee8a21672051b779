import { describe, expect, it } from "vitest";

import type { Attributes } from "../src/api/images";
import { arrange, read, write } from "../src/viewer/layouts";
import { directionLetters, framesInOrder, nearest, playRate } from "../src/viewer/order";
import { Prefetch } from "../src/viewer/prefetch";
import { entriesOf } from "../src/viewer/report";
import { commandOf } from "../src/viewer/shortcuts";
import { Wheel } from "../src/viewer/wheel";
import { storedWindows, stepped, toRange, toWindow, windowOf } from "../src/viewer/windows";

interface Slice {
  uid: string;
  number?: number;
  position?: number[];
  orientation?: number[];
  frames?: number;
  rows?: number | null;
}

function slice({ uid, number, position, orientation = [1, 0, 0, 0, 1, 0], frames, rows = 8 }: Slice): Attributes {
  const made: Attributes = { "00080018": { vr: "UI", Value: [uid] } };
  if (rows !== null) made["00280010"] = { vr: "US", Value: [rows] };
  if (number !== undefined) made["00200013"] = { vr: "IS", Value: [number] };
  if (frames !== undefined) made["00280008"] = { vr: "IS", Value: [frames] };
  if (position) {
    made["00200032"] = { vr: "DS", Value: position };
    made["00200037"] = { vr: "DS", Value: orientation };
  }
  return made;
}

const order = (...slices: Slice[]) => framesInOrder(slices.map(slice)).map(({ instance, number }) => instance + number);

describe("the order of images", () => {
  it("is that of places, in the direction in which the numbers rise", () => {
    const places = [
      { uid: "c", number: 1, position: [0, 0, 9] },
      { uid: "a", number: 7, position: [0, 0, -9] },
      { uid: "b", number: 2, position: [0, 0, 1] },
    ];
    expect(order(...places)).toEqual(["c1", "b1", "a1"]);
    expect(order(...places.map((each) => ({ ...each, number: 10 - each.number })))).toEqual(["a1", "b1", "c1"]);
  });
  it("is by number where two lie in one place, or not side by side, or nowhere", () => {
    const [here, there] = [
      [0, 0, 0],
      [0, 0, 5],
    ];
    expect(order({ uid: "a", number: 3, position: here }, { uid: "b", number: 1, position: here })).toEqual([
      "b1",
      "a1",
    ]);
    const sagittal = { uid: "b", number: 1, position: there, orientation: [0, 1, 0, 0, 0, -1] };
    expect(order({ uid: "a", number: 3, position: here }, sagittal)).toEqual(["b1", "a1"]);
    expect(order({ uid: "a", number: 3, position: here }, { uid: "b", number: 1 })).toEqual(["b1", "a1"]);
    expect(order({ uid: "b" }, { uid: "a" }, { uid: "c", number: 1 })).toEqual(["c1", "a1", "b1"]);
  });
  it("counts frames, and leaves out what is no image", () => {
    expect(order({ uid: "a", frames: 3 }, { uid: "b", rows: null })).toEqual(["a1", "a2", "a3"]);
    expect(order()).toEqual([]);
  });
});

it("directions of the patient have letters, the strongest first", () => {
  expect(directionLetters([1, 0, 0])).toBe("L");
  expect(directionLetters([0, -0.6, 0.8])).toBe("HA");
  expect(directionLetters([0.1, 0.1, -0.99])).toBe("F");
});

it("a series is played as it says itself, within what a screen shows", () => {
  expect(playRate({ "00181063": { vr: "DS", Value: ["40"] } })).toBe(25);
  expect(playRate({ "00181063": { vr: "DS", Value: ["0"] } })).toBe(10);
  expect(playRate({ "00082144": { vr: "IS", Value: [500] } })).toBe(60);
  expect(playRate({})).toBe(10);
});

it("a window is the values of PS3.3 §C.11.2.1.2.1, there and back", () => {
  expect(toRange({ center: 2048, width: 4096 })).toEqual({ lower: 0, upper: 4095 });
  expect(toWindow(toRange({ center: 40, width: 400 }))).toEqual({ center: 40, width: 400 });
  expect(stepped({ center: 40, width: 400 }, 1, -1)).toEqual({ center: 60, width: 380 });
  expect(stepped({ center: 0, width: 1 }, 0, -5).width).toBe(1);
});

describe("the wheel", () => {
  const turned = (isPixels: boolean, ...deltas: number[]) => {
    const wheel = new Wheel();
    return deltas.map((delta) => wheel.turn(delta, isPixels));
  };
  it("goes on by one image a notch, and by several where it is turned fast", () => {
    expect(turned(true, ...Array<number>(15).fill(100))).toEqual(Array(15).fill(1));
    expect(turned(true, ...Array<number>(9).fill(-120))).toEqual(Array(9).fill(-1));
    expect(turned(true, 53, 240, -300)).toEqual([1, 2, -3]);
    expect(turned(false, 3, 3, -3, 1)).toEqual([1, 1, -1, 1]);
  });
  it("adds up the small moves of a touchpad, and begins again the other way", () => {
    expect(turned(true, 15, 15, 15, 15, 15, 15)).toEqual([0, 0, 1, 0, 0, 1]);
    expect(turned(true, 30, -15, -15, -15)).toEqual([0, 0, 0, -1]);
  });
});

it("windows of an image are those with a width, with their names", () => {
  const made: Attributes = {
    "00281050": { vr: "DS", Value: [40, -600, 7] },
    "00281051": { vr: "DS", Value: [400, 1500, 0] },
    "00281055": { vr: "LO", Value: ["SOFT"] },
  };
  expect(storedWindows(made)).toEqual([
    { center: 40, width: 400, name: "SOFT" },
    { center: -600, width: 1500, name: "" },
  ]);
  expect(storedWindows({})).toEqual([]);
});

it("a window made of values leaves out what is far brighter or darker than nearly all", () => {
  const values = Int16Array.from({ length: 1000 }, (_, place) => 100 + (place % 101));
  values[3] = 30_000;
  values[500] = -30_000;
  expect(toRange(windowOf(values) ?? { center: 0, width: 0 })).toEqual({ lower: 100, upper: 200 });
  expect(toRange(windowOf([0, 0, 0, 9]) ?? { center: 0, width: 0 })).toEqual({ lower: 0, upper: 9 });
  expect(windowOf([5, 5, 5])).toBeNull();
  expect(windowOf([])).toBeNull();
});

describe("series scrolled together", () => {
  const placed = (place: string, ...ats: number[]) =>
    framesInOrder(
      ats.map((at, number) => ({
        ...slice({ uid: `${place}${at}`, number, position: [0, 0, at] }),
        "00200052": { vr: "UI", Value: place ? [place] : [] },
      })),
    );
  const [here] = placed("a", 12) as [(typeof stack)[number]];
  const stack = placed("a", 0, 5, 10, 15);

  it("show the slice that lies nearest in the same patient's coordinates", () => {
    expect(nearest(stack, here)).toBe(2);
    expect(nearest(placed("a", 100, 50), here)).toBe(1);
  });
  it("go by number where nothing tells, and stay where planes cut each other", () => {
    expect(nearest(placed("b", 0, 5), here)).toBeNull();
    expect(nearest(placed("", 0, 5), placed("", 5)[0] as typeof here)).toBeNull();
    expect(nearest(framesInOrder([slice({ uid: "x" })]), here)).toBeNull();
    const sagittal = slice({ uid: "s", position: [0, 0, 0], orientation: [0, 1, 0, 0, 0, -1] });
    expect(nearest(framesInOrder([sagittal]), here)).toBe("across");
  });
});

describe("a layout", () => {
  it("is read from the address as it was written", () => {
    expect(read(new URLSearchParams(), "s")).toEqual({ layout: "1x1", shown: ["s"] });
    expect(write({ layout: "1x1", shown: ["s"] }, "s")).toBe("");
    for (const shown of [
      ["s", null, null, null],
      [null, "b", null, "d"],
    ]) {
      const made = { layout: "2x2" as const, shown };
      expect(read(new URLSearchParams(write(made, "s")), "s")).toEqual(made);
    }
    expect(read(new URLSearchParams("layout=9x9&shown=b"), "s")).toEqual({ layout: "1x1", shown: ["b"] });
    expect(read(new URLSearchParams("layout=toString"), "s").layout).toBe("1x1");
  });
  it("keeps what is shown, and fills free places with the next series", () => {
    const all = ["a", "b", "c", "d"];
    const one = { layout: "1x1" as const, shown: ["c"] };
    expect(arrange(one, "1x2", 0, all).shown).toEqual(["c", "d"]);
    expect(arrange(one, "2x2", 0, all).shown).toEqual(["c", "d", "a", "b"]);
    expect(arrange(one, "2x2", 0, ["c", "x"]).shown).toEqual(["c", "x", null, null]);
    expect(arrange(one, "2x2", 0, ["c"]).shown).toEqual(["c", "c", null, null]);
    const four = { layout: "2x2" as const, shown: ["a", "b", "c", "d"] };
    expect(arrange(four, "1x1", 2, all).shown).toEqual(["c"]);
    expect(arrange(four, "1x2", 1, all).shown).toEqual(["a", "b"]);
  });
});

describe("a key", () => {
  const press = (key: string, with_: Partial<KeyboardEvent> = {}, target: EventTarget | null = null) =>
    commandOf({ key, shiftKey: false, ctrlKey: false, altKey: false, metaKey: false, ...with_ }, target);
  const made = (name: string, type = "") => Object.assign(document.createElement(name), type ? { type } : {});

  it("does what the help says", () => {
    expect(press("l")).toEqual({ does: "tool", name: "length" });
    expect(press("L", { shiftKey: true })).toEqual({ does: "tool", name: "length" });
    expect(press("2")).toEqual({ does: "window", place: 1 });
    expect(press("ArrowUp")).toEqual({ does: "step", by: -1 });
    expect(press("ArrowUp", { shiftKey: true })).toEqual({ does: "adjust", across: 0, down: -1 });
    expect(press("?", { shiftKey: true })).toEqual({ does: "help" });
    expect(press("#")).toBeNull();
  });
  it("is the browser's with Control, Alt and Command", () => {
    for (const name of ["ctrlKey", "altKey", "metaKey"]) expect(press("r", { [name]: true })).toBeNull();
    for (const name of ["ctrlKey", "metaKey"]) expect(press("z", { [name]: true })).toEqual({ does: "undo" });
    expect(press("z", { ctrlKey: true, shiftKey: true })).toBeNull();
  });
  it("is that of the element in focus where it has a use for it", () => {
    expect(press(" ", {}, made("button"))).toBeNull();
    expect(press("w", {}, made("button"))).not.toBeNull();
    expect(press("ArrowUp", {}, made("select"))).toBeNull();
    expect(press("w", {}, made("input", "text"))).toBeNull();
    expect(press("End", {}, made("input", "range"))).toBeNull();
    expect(press("w", {}, made("input", "range"))).not.toBeNull();
  });
});

describe("images ahead", () => {
  it("are fetched the nearest first, no further than there is room, and past those that fail", async () => {
    const asked: number[] = [];
    const here = new Set([5]);
    const load = async (index: number) => {
      asked.push(index);
      if (index === 6) throw new Error("broken");
      here.add(index);
    };
    const prefetch = new Prefetch({ count: 9, has: (index) => here.has(index), load }, 2);
    prefetch.around(5);
    await expect.poll(() => asked).toEqual([6, 4, 7, 3]);
    prefetch.stop();
    prefetch.around(0);
    expect(asked).toHaveLength(4);
  });
});

it("a report is its items with their values", () => {
  const concept = (text: string) => ({ vr: "SQ", Value: [{ "00080104": { vr: "LO", Value: [text] } }] });
  const item = (kind: string, name: string, rest: Attributes) => ({
    "0040A040": { vr: "CS", Value: [kind] },
    "0040A043": concept(name),
    ...rest,
  });
  const measured = {
    "0040A30A": { vr: "DS", Value: [12.5] },
    "004008EA": { vr: "SQ", Value: [{ "00080100": { vr: "SH", Value: ["mm"] } }] },
  };
  const report: Attributes = {
    "0040A730": {
      vr: "SQ",
      Value: [
        item("TEXT", "Finding", { "0040A160": { vr: "UT", Value: ["Nothing"] } }),
        item("CONTAINER", "Sizes", {
          "0040A730": { vr: "SQ", Value: [item("NUM", "Length", { "0040A300": { vr: "SQ", Value: [measured] } })] },
        }),
        item("CODE", "Side", { "0040A168": concept("Left") }),
      ],
    },
  };
  expect(entriesOf(report)).toEqual([
    { name: "Finding", kind: "TEXT", value: "Nothing", parts: [] },
    {
      name: "Sizes",
      kind: "CONTAINER",
      value: "",
      parts: [{ name: "Length", kind: "NUM", value: "12.5 mm", parts: [] }],
    },
    { name: "Side", kind: "CODE", value: "Left", parts: [] },
  ]);
  expect(entriesOf({})).toEqual([]);
});
