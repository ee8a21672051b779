/** Values of DICOM as people write them. */

import { days } from "../i18n/formats";

/** `DOE^JOHN^^DR^` (PS3.5 §6.2.1.1) as `Doe`'s owner would write it: family name, given and middle names, prefix, suffix. */
export function personName(value: string): string {
  const [alphabetic = ""] = value.split("=");
  const [family = "", given = "", middle = "", prefix = "", suffix = ""] = alphabetic
    .split("^")
    .map((part) => part.trim());
  const first = [prefix, given, middle].filter(Boolean).join(" ");
  return [family, first, suffix].filter(Boolean).join(", ") || value;
}

/** `20260131` as the day of a locale; what is no day of the calendar stays as it is. */
export function day(value: string, locale: string): string {
  const found = /^(\d{4})\.?(\d{2})\.?(\d{2})$/.exec(value.trim());
  if (found === null) return value;
  const [year, month, date] = found.slice(1).map(Number) as [number, number, number];
  const moment = new Date(Date.UTC(year, month - 1, date));
  if (moment.getUTCMonth() !== month - 1 || moment.getUTCDate() !== date) return value;
  return days(locale).format(moment);
}

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/** `digits`: how many behind the point; by default what is worth telling. */
export function bytes(count: number, locale: string, digits?: number): string {
  let unit = 0;
  let left = count;
  while (left >= 1000 && unit < UNITS.length - 1) {
    left /= 1000;
    unit += 1;
  }
  return `${left.toLocaleString(locale, { maximumFractionDigits: digits ?? (left < 10 && unit > 0 ? 1 : 0) })} ${UNITS[unit] ?? ""}`;
}
