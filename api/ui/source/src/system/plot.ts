/** Points of a plot over time, and where they lie in it. */

/** `value` null is a gap: nothing is known of that moment. */
export interface Point {
  at: number; // ms since 1970
  value: number | null;
}

/** Points are these many at most; the oldest go. At a point every two seconds that is half an hour. */
export const MOST = 900;

export function append(points: Point[], point: Point): Point[] {
  return [...points.slice(-(MOST - 1)), point];
}

/** Return what a counter has grown by in a second; null where it began anew, as it does with its server, or no time has passed. */
export function rate(
  before: { at: number; count: number | null } | null,
  now: { at: number; count: number | null },
): number | null {
  if (before === null || before.count === null || now.count === null) return null;
  const seconds = (now.at - before.at) / 1000;
  return seconds <= 0 || now.count < before.count ? null : (now.count - before.count) / seconds;
}

/** Return round numbers from `low` on that reach `high`, some `count` of them. */
export function ticks(low: number, high: number, count: number): number[] {
  const span = high - low;
  if (!(span > 0)) return [low, low + 1];
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((times) => times * power >= rough * 0.999) ?? 10);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.ceil(high / step - 1e-9);
  return Array.from({ length: last - first + 1 }, (_, place) => Number(((first + place) * step).toPrecision(12)));
}

/** The part of the plane that a plot shows, and its size in pixels. */
export interface Frame {
  from: number;
  to: number;
  low: number;
  high: number;
  width: number;
  height: number;
}

export const x = (frame: Frame, at: number): number =>
  ((at - frame.from) / Math.max(1, frame.to - frame.from)) * frame.width;
export const y = (frame: Frame, value: number): number =>
  frame.height - ((value - frame.low) / (frame.high - frame.low || 1)) * frame.height;

/** Return the path of a line through points, as SVG has it; a gap interrupts it. */
export function line(points: Point[], frame: Frame): string {
  let path = "";
  let isDown = false;
  for (const { at, value } of points) {
    if (value !== null) path += `${isDown ? "L" : "M"}${x(frame, at).toFixed(1)} ${y(frame, value).toFixed(1)}`;
    isDown = value !== null;
  }
  return path;
}

/** Write marks with as few digits as tell them apart. */
export function labelled(marks: number[], format: (value: number, digits?: number) => string): string[] {
  for (let digits = 0; digits < 6; digits += 1) {
    const labels = marks.map((mark) => format(mark, digits));
    if (new Set(labels).size === labels.length) return labels;
  }
  return marks.map((mark) => format(mark));
}

/** What a plot shows of its values: from where to where. Counts begin at 0; a size that hardly changes is shown from near. */
export function bounds(points: Point[], fromZero: boolean): { low: number; high: number; marks: number[] } {
  const values = points.flatMap(({ value }) => (value === null ? [] : [value]));
  const most = values.length === 0 ? 1 : Math.max(...values);
  const least = fromZero || values.length === 0 ? 0 : Math.min(...values);
  const marks = ticks(least, most > least ? most : least + Math.max(1, Math.abs(least) * 0.01), 3);
  return { low: marks[0] ?? 0, high: marks.at(-1) ?? 1, marks };
}
