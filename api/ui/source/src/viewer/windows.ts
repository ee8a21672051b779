/** Windows: which values are shown from black to white. */

import type { Attributes } from "../api/images";
import type { Key } from "../i18n/index.svelte";
import { numbersOf, TAGS } from "./attributes";

export interface Window {
  center: number;
  width: number;
}

/** Of CT numbers, by the key that chooses each. */
export const CT_WINDOWS: readonly (Window & { name: Key; key: string })[] = [
  { key: "1", name: "viewer.window.soft", center: 40, width: 400 },
  { key: "2", name: "viewer.window.lung", center: -600, width: 1500 },
  { key: "3", name: "viewer.window.liver", center: 90, width: 150 },
  { key: "4", name: "viewer.window.bone", center: 480, width: 2500 },
  { key: "5", name: "viewer.window.brain", center: 40, width: 80 },
];

/** Return the values that are black and white: PS3.3 §C.11.2.1.2.1. */
export function toRange({ center, width }: Window): { lower: number; upper: number } {
  return { lower: center - 0.5 - (width - 1) / 2, upper: center - 0.5 + (width - 1) / 2 };
}

export function toWindow({ lower, upper }: { lower: number; upper: number }): Window {
  return { center: (lower + upper + 1) / 2, width: upper - lower + 1 };
}

export function isSame(one: Window | null, other: Window | null): boolean {
  if (one === null || other === null) return false;
  return Math.abs(one.center - other.center) < 0.5 && Math.abs(one.width - other.width) < 0.5;
}

/** Return a window made brighter, or wider, by a step of a key. A step is a twentieth of the width, as values differ from image to image. */
export function stepped({ center, width }: Window, darker: number, wider: number): Window {
  const step = Math.max(1, width / 20);
  return { center: center + darker * step, width: Math.max(1, width + wider * step) };
}

export interface Stored extends Window {
  /** What it is for, in the words of the image; may be empty. */
  name: string;
}

/** Return the windows that an image itself offers. */
export function storedWindows(attributes: Attributes): Stored[] {
  const widths = numbersOf(attributes, TAGS.WindowWidth);
  const names = attributes[TAGS.WindowExplanation]?.Value ?? [];
  return numbersOf(attributes, TAGS.WindowCenter).flatMap((center, place) => {
    const width = widths[place];
    const name = names[place];
    return width === undefined || width < 1 ? [] : [{ center, width, name: typeof name === "string" ? name : "" }];
  });
}

const SAMPLES = 20_000;
const OUTLIERS = 0.005; // of each end: a bright vessel or a marker would leave the rest in the dark

/** Return a window for values that tell none: all but the outliers. */
export function windowOf(values: ArrayLike<number>): Window | null {
  const step = Math.max(1, Math.floor(values.length / SAMPLES));
  const found = Float64Array.from({ length: Math.ceil(values.length / step) }, (_, place) => values[place * step] ?? 0);
  found.sort();
  const at = (share: number) => found[Math.round(share * (found.length - 1))] ?? 0;
  const [lower, upper] = at(OUTLIERS) < at(1 - OUTLIERS) ? [at(OUTLIERS), at(1 - OUTLIERS)] : [at(0), at(1)];
  return lower < upper ? toWindow({ lower, upper }) : null;
}
