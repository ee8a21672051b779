/** Times as people read them. */

import { language } from "../i18n/index.svelte";

const UNITS = [["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1]] as const; // prettier-ignore

/** A length of time, in the two units that say most. */
export function lasting(seconds: number): string {
  const write = (count: number, unit: string, maximumFractionDigits = 0) =>
    count.toLocaleString(language.code, { style: "unit", unit, unitDisplay: "short", maximumFractionDigits });
  if (seconds < 60) return write(seconds, "second", seconds < 10 ? 1 : 0);
  let left = Math.floor(seconds);
  const parts: string[] = [];
  const first = UNITS.findIndex(([, length]) => left >= length);
  for (const [unit, length] of UNITS.slice(first, first + 2)) {
    const count = Math.floor(left / length);
    left -= count * length;
    if (count > 0) parts.push(write(count, unit));
  }
  return parts.join(" ");
}

/** A moment, with its date where that is not today's. */
export function when(at: Date): string {
  const isToday = at.toDateString() === new Date().toDateString();
  return at.toLocaleString(language.code, {
    ...(isToday ? {} : { dateStyle: "short" }),
    timeStyle: "medium",
  });
}
