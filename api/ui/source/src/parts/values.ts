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

/** `083015.5` as the time of a locale, to the minute; what is none is left out. */
export function time(value: string, locale: string): string {
  const found = /^([01]\d|2[0-3]):?([0-5]\d)/.exec(value.trim());
  if (found === null) return "";
  const moment = new Date(Date.UTC(2000, 0, 1, Number(found[1]), Number(found[2])));
  return moment.toLocaleTimeString(locale, { timeZone: "UTC", timeStyle: "short" });
}

/** How long ago a day was, where people say so: today, yesterday, 5 days ago; empty beyond a fortnight. */
export function ago(value: string, locale: string, now: Date): string {
  const found = /^(\d{4})(\d{2})(\d{2})$/.exec(value.trim());
  if (found === null) return "";
  const [year, month, date] = found.slice(1).map(Number) as [number, number, number];
  const days =
    (Date.UTC(now.getFullYear(), now.getMonth(), now.getDate()) - Date.UTC(year, month - 1, date)) / 86_400_000;
  if (days < 0 || days > 14) return "";
  return new Intl.RelativeTimeFormat(locale, { numeric: "auto" }).format(-days, "day");
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
