/** Tags before and after a change, as a list of what becomes of each. */

import type { Dataset, Tag } from "../api/work";

export const FATES = ["removed", "emptied", "replaced", "drawn", "added", "kept"] as const;
export type Fate = (typeof FATES)[number];

export interface Row {
  /** Numbers and items from the root on, such as `0008,1140[0].0008,1150`. */
  path: string;
  name: string;
  before: string | null;
  after: string | null;
  fate: Fate;
}

const text = (tag: Tag | undefined): string | null => {
  if (tag === undefined) return null;
  if (Array.isArray(tag.Value)) return ""; // its items are told one by one
  return tag.Type === "TooLong" || tag.Type === "Binary" ? "…" : (tag.Value ?? "");
};

function fateOf(before: Tag | undefined, after: Tag | undefined): Fate {
  if (before === undefined) return "added";
  if (after === undefined) return "removed";
  if (after.IsDrawn) return "drawn";
  if (Array.isArray(before.Value) && Array.isArray(after.Value))
    return before.Value.length > 0 && after.Value.length === 0 ? "emptied" : "kept";
  if (before.Value === after.Value) return "kept";
  return (after.Value ?? "") === "" ? "emptied" : "replaced";
}

export function compare(before: Dataset, after: Dataset, path = "", name = ""): Row[] {
  const numbers = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return numbers.flatMap((number) => {
    const [old, now] = [before[number], after[number]];
    const [here, called] = [path + number, name + (old ?? now)?.Name];
    const row: Row = { path: here, name: called, before: text(old), after: text(now), fate: fateOf(old, now) };
    const [olds, nows] = [old, now].map((tag) => (Array.isArray(tag?.Value) ? tag.Value : []));
    // What goes with its sequence is told once.
    if (old === undefined || now === undefined || row.fate === "emptied") return [row];
    const items = Array.from({ length: Math.max(olds?.length ?? 0, nows?.length ?? 0) }, (_, place) =>
      compare(olds?.[place] ?? {}, nows?.[place] ?? {}, `${here}[${place}].`, `${called} › `),
    );
    return items.length === 0 ? [row] : items.flat();
  });
}
