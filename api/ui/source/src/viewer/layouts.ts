/** How many series stand side by side, and which: both are part of the address, so that what is shown can be sent to somebody. */

export const LAYOUTS = {
  "1x1": { rows: 1, columns: 1 },
  "1x2": { rows: 1, columns: 2 },
  "2x1": { rows: 2, columns: 1 },
  "2x2": { rows: 2, columns: 2 },
} as const;
export type LayoutName = keyof typeof LAYOUTS;
export const LAYOUT_NAMES = Object.keys(LAYOUTS) as LayoutName[];

export interface Arrangement {
  layout: LayoutName;
  /** A series for each place; null where nothing is chosen yet. */
  shown: readonly (string | null)[];
}

export function sizeOf(layout: LayoutName): number {
  return LAYOUTS[layout].rows * LAYOUTS[layout].columns;
}

/** Read what an address says; `series` is that of its path. */
export function read(query: URLSearchParams, series: string): Arrangement {
  const named = query.get("layout") ?? "";
  const layout = Object.hasOwn(LAYOUTS, named) ? (named as LayoutName) : "1x1";
  const ids = (query.get("shown") ?? series).split(",").map((id) => id || null);
  return { layout, shown: Array.from({ length: sizeOf(layout) }, (_, place) => ids[place] ?? null) };
}

export function write({ layout, shown }: Arrangement, series: string): string {
  const ids = shown.map((id) => id ?? "").join(",");
  const query = new URLSearchParams({
    ...(layout === "1x1" ? {} : { layout }),
    ...(ids.replace(/,+$/, "") === series ? {} : { shown: ids }),
  });
  return query.size > 0 ? `?${query}` : "";
}

/** Take another layout: what is shown stays, and free places get the series that come next; if there are none, the same again. */
export function arrange(now: Arrangement, layout: LayoutName, current: number, all: readonly string[]): Arrangement {
  const first = now.shown[current] ?? null;
  const kept = sizeOf(layout) < now.shown.length && current >= sizeOf(layout) ? [first] : [...now.shown];
  const start = all.indexOf(kept.at(-1) ?? first ?? "");
  const others = [...all.slice(start + 1), ...all.slice(0, Math.max(0, start))].filter((id) => !kept.includes(id));
  const again = others.length === 0 && kept.length === 1 ? [first] : []; // two images, or two windows, of one series
  const shown = Array.from(
    { length: sizeOf(layout) },
    (_, place) => kept[place] ?? [...others.splice(0, 1), ...again.splice(0, 1)][0] ?? null,
  );
  return { layout, shown };
}
