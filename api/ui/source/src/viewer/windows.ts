/** Windows: which values are shown from black to white. */

import type { Key } from "../i18n/index.svelte";

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
