/** Keys of the viewer. They count while the focus is within it, so they are in nobody's way. */

import type { LayoutName } from "./layouts";
import { CT_WINDOWS, type Window } from "./windows";

/** Tools that change how an image is seen, and those that measure or mark. */
export const VIEWING = ["scroll", "window", "zoom", "pan"] as const;
export const MEASURING = [
  "length",
  "bidirectional",
  "angle",
  "cobb",
  "rectangle",
  "ellipse",
  "circle",
  "freehand",
  "probe",
  "arrow",
  "magnify",
] as const;
export const TOOLS = [...VIEWING, ...MEASURING] as const;
export type ToolName = (typeof TOOLS)[number];

export const ACTIONS = ["reset", "invert", "rotate", "flipAcross", "flipDown"] as const;
export type ActionName = (typeof ACTIONS)[number];

/** One of those of CT by its place, one of the image's own, that of its values, or (null) the one it begins with. */
export type WindowPlace = number | Window | "values" | null;

export type Command =
  | { does: "tool"; name: ToolName }
  | { does: "action"; name: ActionName }
  | { does: "step"; by: number }
  | { does: "goTo"; end: "first" | "last" }
  | { does: "adjust"; across: number; down: number }
  | { does: "zoom"; by: number }
  | { does: "window"; place: WindowPlace }
  | { does: "series"; by: number }
  | { does: "layout"; name: LayoutName }
  | { does: "play" | "leave" | "clear" | "undo" | "help" | "measure" | "tags" | "save" | "whole" | "side" }
  | { does: "texts" | "compare" | "together" | "lines" };

export const TOOL_KEYS: Partial<Record<ToolName, string>> = {
  scroll: "s",
  window: "w",
  zoom: "z",
  pan: "p",
  length: "l",
  bidirectional: "u",
  angle: "a",
  rectangle: "r",
  ellipse: "e",
  probe: "o",
  arrow: "j",
  magnify: "g",
};
export const ACTION_KEYS: Record<ActionName, string> = {
  invert: "i",
  rotate: "t",
  flipAcross: "h",
  flipDown: "v",
  reset: "x",
};

const KEYS: Record<string, Command> = {
  ArrowDown: { does: "step", by: 1 },
  ArrowRight: { does: "step", by: 1 },
  ArrowUp: { does: "step", by: -1 },
  ArrowLeft: { does: "step", by: -1 },
  PageDown: { does: "step", by: 10 },
  PageUp: { does: "step", by: -10 },
  Home: { does: "goTo", end: "first" },
  End: { does: "goTo", end: "last" },
  "+": { does: "zoom", by: 1 },
  "=": { does: "zoom", by: 1 },
  "-": { does: "zoom", by: -1 },
  "0": { does: "window", place: null },
  " ": { does: "play" },
  n: { does: "series", by: 1 },
  b: { does: "series", by: -1 },
  d: { does: "texts" },
  c: { does: "compare" },
  y: { does: "together" },
  k: { does: "lines" },
  f: { does: "whole" },
  q: { does: "side" },
  m: { does: "measure" },
  Delete: { does: "clear" },
  Escape: { does: "leave" },
  "?": { does: "help" },
};
for (const [name, key] of Object.entries(TOOL_KEYS)) KEYS[key] = { does: "tool", name: name as ToolName };
for (const [name, key] of Object.entries(ACTION_KEYS)) KEYS[key] = { does: "action", name: name as ActionName };
for (const [place, { key }] of CT_WINDOWS.entries()) KEYS[key] = { does: "window", place };

const SHIFTED: Record<string, [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

interface Press {
  key: string;
  shiftKey: boolean;
  ctrlKey: boolean;
  altKey: boolean;
  metaKey: boolean;
}

/** Return what a key does; null where it is the browser's, or somebody types or chooses in a field. */
export function commandOf(press: Press, target: EventTarget | null): Command | null {
  const isUndo = (press.ctrlKey || press.metaKey) && press.key === "z" && !press.shiftKey && !press.altKey;
  if ((press.ctrlKey || press.altKey || press.metaKey) && !isUndo) return null;
  if (target instanceof HTMLElement && isBusyWith(target, press.key)) return null;
  if (isUndo) return { does: "undo" };
  const adjusted = press.shiftKey ? SHIFTED[press.key] : undefined;
  if (adjusted) return { does: "adjust", across: adjusted[0], down: adjusted[1] };
  return KEYS[press.key.length === 1 ? press.key.toLowerCase() : press.key] ?? null;
}

/** Tell whether an element has a use of its own for a key. */
function isBusyWith(target: HTMLElement, key: string): boolean {
  if (target.closest("dialog, select, textarea, .menu")) return true;
  if (target instanceof HTMLInputElement) return target.type !== "range" || key.length > 1;
  return target.closest("button, a") !== null && (key === " " || key === "Enter");
}
