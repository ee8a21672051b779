/**
 * Where a long list stands: how far it is scrolled in its own pixels, and how far its element is.
 *
 * Browsers limit the height of an element to some 16 million pixels, and a million rows are taller. The element of such a list is as tall as
 * it may be, and the scrollbar's way through it stands for the whole list. Who turns the wheel moves both by the same pixels, which leaves
 * the scrollbar a little behind or ahead; it is set right once the list rests. Near both ends they move alike, so that neither is
 * reached before the other.
 */

/** Rows that are asked for at a time. */
export const PAGE = 50;

export const MOST_PIXELS = 15_000_000;
/** At each end, moved through alike: nobody turns the wheel so far without a rest. */
const ALIKE = 200_000;
/** A step of the wheel, a finger and a click beside the scrollbar's handle move less at a time; the handle itself moves more by a pixel. */
const JUMP = 5_000;

export interface Scale {
  /** The height of the element. */
  whole: number;
  /** How far the list can be scrolled, in its own pixels, and the element in those of the browser. */
  most: number;
  way: number;
}

/** A row that is unfolded has so many pixels more below it. */
export interface Unfolded {
  index: number;
  height: number;
}

/** How far down a row of `height` pixels lies in the list. */
export function upperOf(row: number, height: number, unfolded: Unfolded | null): number {
  return row * height + (unfolded !== null && row > unfolded.index ? unfolded.height : 0);
}

/** The row at a place of the list, with the fraction of it that lies above. */
export function rowAt(place: number, height: number, unfolded: Unfolded | null): number {
  const lower = unfolded === null ? Infinity : (unfolded.index + 1) * height;
  if (unfolded === null || place < lower) return place / height;
  return Math.max(unfolded.index + 0.999, (place - unfolded.height) / height); // what is below a row belongs to it
}

/** Of `count` rows of `height` pixels, of which `seen` pixels are in sight. */
export function scale(count: number, height: number, seen: number, unfolded: Unfolded | null = null): Scale {
  const tall = upperOf(count, height, unfolded);
  const whole = Math.min(tall, MOST_PIXELS);
  return { whole, most: Math.max(0, tall - seen), way: Math.max(0, whole - seen) };
}

/** A way of length `from` in a way of length `to`: alike at both ends, in proportion between them. */
function map(at: number, from: number, to: number): number {
  if (from === to || at <= ALIKE) return Math.min(Math.max(0, at), to);
  if (from - at <= ALIKE) return Math.max(0, to - Math.max(0, from - at));
  return ALIKE + ((at - ALIKE) * (to - 2 * ALIKE)) / (from - 2 * ALIKE);
}

/** Where the element is when the list is at a place, and the other way round. */
export const toElement = (at: number, { most, way }: Scale): number => map(at, most, way);
export const toList = (scrolled: number, { most, way }: Scale): number => map(scrolled, way, most);

/** Where the list is once its element, which stood at `before`, has been scrolled to `now`. */
export function moved(at: number, before: number, now: number, of: Scale): number {
  if (of.most === of.way || Math.abs(now - before) > JUMP) return toList(now, of);
  return Math.min(Math.max(0, at + now - before), of.most);
}
