/** Where a long list stands: which row is at its top, and how it is scrolled to another. */

/** Browsers limit the height of an element to some 16 million pixels. */
export const MOST_PIXELS = 15_000_000;

export interface Place {
  /** The row at the top; a fraction of it may be out of sight. */
  first: number;
  /** The height of the whole list in the document. */
  whole: number;
  /** How far down row `from` is drawn. */
  offset: (from: number) => number;
  /** How far the list is scrolled so that a row is at its top. */
  scrollTo: (row: number) => number;
}

/** `count` rows of `height` pixels, of which `seen` pixels are in sight, scrolled by `scrolled` pixels. */
export function place(count: number, height: number, seen: number, scrolled: number): Place {
  const whole = Math.min(count * height, MOST_PIXELS);
  const last = Math.max(0, count - seen / height); // the row at the top when the end is in sight
  const way = Math.max(0, whole - seen);
  const first = way === 0 ? 0 : Math.min(last, (scrolled / way) * last);
  return {
    first,
    whole,
    offset: (from) => Math.min(scrolled, way) - (first - from) * height,
    scrollTo: (row) => (last === 0 ? 0 : (Math.min(row, last) / last) * way),
  };
}
