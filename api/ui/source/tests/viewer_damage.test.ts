import { describe, expect, it } from "vitest";

import type { Attributes } from "../src/api/images";
import { damageOf, ended } from "../src/viewer/damage";

const [J2K, HTJ2K, JPEG, RLE, PLAIN] = ["4.90", "4.202", "4.50", "5", "1"].map((end) =>
  end.length === 1 && end === "1" ? "1.2.840.10008.1.2.1" : `1.2.840.10008.1.2.${end}`,
) as [string, string, string, string, string];

const image = (rows: number, columns: number, bits = 8, samples = 1, photometric = "MONOCHROME2"): Attributes => ({
  "00280010": { vr: "US", Value: [rows] },
  "00280011": { vr: "US", Value: [columns] },
  "00280100": { vr: "US", Value: [bits] },
  "00280002": { vr: "US", Value: [samples] },
  "00280004": { vr: "CS", Value: [photometric] },
});
const bytes = (...values: number[]) => Uint8Array.from(values);

/** Start, a segment of the main header, parts of so many bytes of data each, and the end. */
function codestream(...parts: number[]): Uint8Array {
  const made = [0xff, 0x4f, 0xff, 0x52, 0, 4, 1, 2];
  for (const [place, size] of parts.entries())
    made.push(
      0xff,
      0x90,
      0,
      10,
      0,
      0,
      0,
      0,
      0,
      14 + size,
      place,
      parts.length,
      0xff,
      0x93,
      ...Array<number>(size).fill(7),
    );
  return bytes(...made, 0xff, 0xd9);
}

describe("JPEG 2000", () => {
  const whole = codestream(20, 30);

  it("is whole as its parts say, with what fills it up, and without its end", () => {
    for (const syntax of [J2K, HTJ2K]) {
      expect(damageOf(whole, syntax, {})).toBeNull();
      expect(damageOf(bytes(...whole, 0), syntax, {})).toBeNull();
      expect(damageOf(whole.subarray(0, -2), syntax, {})).toBeNull();
    }
  });
  it("is short wherever it is cut within its parts or its header", () => {
    for (let length = 2; length < whole.length - 2; length += 1)
      expect(damageOf(whole.subarray(0, length), J2K, {}), `${length} bytes`).toBe("short");
    expect(damageOf(bytes(0xff, 0xd8, 0xff, 0x4f), J2K, {})).toBe("headless");
    expect(damageOf(bytes(), HTJ2K, {})).toBe("headless");
  });
  it("may leave the length of its last part open, and then has an end", () => {
    const open = codestream(20);
    open.set([0, 0, 0, 0], 14);
    expect(damageOf(open, J2K, {})).toBeNull();
    expect(damageOf(open.subarray(0, -2), J2K, {})).toBe("short");
  });
  it("is given the end that the decoder wants", () => {
    expect(ended(whole.subarray(0, -2), J2K)).toEqual(whole);
    expect(ended(whole, J2K)).toBe(whole);
    expect(ended(bytes(1), PLAIN)).toEqual(bytes(1));
  });
});

it("JPEG ends with its marker, behind which is nothing but what fills up", () => {
  expect(damageOf(bytes(0xff, 0xd8, 1, 2, 0xff, 0xd9), JPEG, {})).toBeNull();
  expect(damageOf(bytes(0xff, 0xd8, 1, 2, 0xff, 0xd9, 0), JPEG, {})).toBeNull();
  expect(damageOf(bytes(0xff, 0xd8, 1, 2, 0xff, 0xd9, 0xff), JPEG, {})).toBeNull();
  expect(damageOf(bytes(0xff, 0xd8, 1, 2, 3), JPEG, {})).toBe("short");
  expect(damageOf(bytes(0, 0xd8, 0xff, 0xd9), JPEG, {})).toBe("headless");
});

describe("RLE", () => {
  const header = (...starts: number[]) => {
    const made = new Uint8Array(64);
    const view = new DataView(made.buffer);
    [starts.length, ...starts].forEach((value, place) => view.setUint32(4 * place, value, true));
    return made;
  };
  const runs = [0x100 - 3, 9, 1, 5, 6, 0x80]; // four of 9, then 5 and 6, then nothing

  it("yields a value for each pixel in each of its segments", () => {
    expect(damageOf(bytes(...header(64), ...runs), RLE, image(2, 3))).toBeNull();
    expect(damageOf(bytes(...header(64, 70), ...runs, ...runs), RLE, image(2, 3, 16))).toBeNull();
    expect(damageOf(bytes(...header(64), ...runs), RLE, image(6, 8, 1))).toBeNull(); // a bit a pixel
  });
  it("is short where one yields less, or lies behind the end", () => {
    expect(damageOf(bytes(...header(64), ...runs.slice(0, 4)), RLE, image(2, 3))).toBe("short");
    expect(damageOf(bytes(...header(64, 70), ...runs), RLE, image(2, 3, 16))).toBe("short");
    expect(damageOf(bytes(...header(64), ...runs), RLE, image(2, 4))).toBe("short");
    expect(damageOf(bytes(...header()), RLE, image(2, 3))).toBe("headless");
    expect(damageOf(bytes(1, 0, 0, 0), RLE, image(2, 3))).toBe("headless");
  });
});

it("plain pixels have the length that rows, columns, samples and bits make", () => {
  const zeros = (count: number) => new Uint8Array(count);
  expect(damageOf(zeros(24), PLAIN, image(3, 4, 16))).toBeNull();
  expect(damageOf(zeros(23), PLAIN, image(3, 4, 16))).toBe("short");
  expect(damageOf(zeros(36), PLAIN, image(3, 4, 8, 3, "RGB"))).toBeNull();
  expect(damageOf(zeros(24), PLAIN, image(3, 4, 8, 3, "YBR_FULL_422"))).toBeNull();
  expect(damageOf(zeros(23), PLAIN, image(3, 4, 8, 3, "YBR_FULL_422"))).toBe("short");
  expect(damageOf(zeros(2), PLAIN, image(4, 4, 1))).toBeNull();
  expect(damageOf(zeros(1), "1.2.3", image(4, 4))).toBeNull(); // nothing is known of it
});
