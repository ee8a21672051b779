/** Keys of the viewer. They count while the focus is within it, so they are in nobody's way. */

import { CT_WINDOWS } from "./windows";

export const TOOLS = ["scroll", "window", "zoom", "pan", "length", "angle", "rectangle", "ellipse", "probe"] as const;
export type ToolName = (typeof TOOLS)[number];

export const ACTIONS = ["invert", "rotate", "flipAcross", "flipDown", "reset"] as const;
export type ActionName = (typeof ACTIONS)[number];

export type Command =
  | { does: "tool"; name: ToolName }
  | { does: "action"; name: ActionName }
  | { does: "step"; by: number }
  | { does: "goTo"; end: "first" | "last" }
  | { does: "adjust"; across: number; down: number }
  | { does: "zoom"; by: number }
  | { does: "window"; place: number | null }
  | { does: "series"; by: number }
  | { does: "play" | "texts" | "compare" | "clear" | "help" | "measure" };

export const TOOL_KEYS: Record<ToolName, string> = {
  scroll: "s",
  window: "w",
  zoom: "z",
  pan: "p",
  length: "l",
  angle: "a",
  rectangle: "r",
  ellipse: "e",
  probe: "o",
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
  m: { does: "measure" },
  Delete: { does: "clear" },
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
  if (press.ctrlKey || press.altKey || press.metaKey) return null;
  if (target instanceof HTMLElement && isBusyWith(target, press.key)) return null;
  const adjusted = press.shiftKey ? SHIFTED[press.key] : undefined;
  if (adjusted) return { does: "adjust", across: adjusted[0], down: adjusted[1] };
  return KEYS[press.key.length === 1 ? press.key.toLowerCase() : press.key] ?? null;
}

/** Tell whether an element has a use of its own for a key. */
function isBusyWith(target: HTMLElement, key: string): boolean {
  if (target.closest("dialog, select, textarea")) return true;
  if (target instanceof HTMLInputElement) return target.type !== "range" || key.length > 1;
  return target.closest("button, a") !== null && (key === " " || key === "Enter");
}
