/** Days that a study may be of: from one to another, or the last ones. */

export interface Period {
  /** As an input of a date has it, `2026-01-31`; empty: open. */
  from: string;
  to: string;
  /** A number of days that ends today, or "yesterday"; it stands instead of the others, so that a bookmark goes with the time. */
  last: string;
}

export const LAST = ["1", "yesterday", "7", "30", "90", "365"] as const;

const dicom = (day: string): string => day.replaceAll("-", "");

function back(today: Date, count: number): string {
  const day = new Date(today.getFullYear(), today.getMonth(), today.getDate() - count);
  const two = (number: number) => String(number).padStart(2, "0");
  return `${day.getFullYear()}${two(day.getMonth() + 1)}${two(day.getDate())}`;
}

/** Return the range of DICOM (PS3.4 §C.2.2.2.5) that a period is; empty where any day will do. */
export function days({ from, to, last }: Period, today: Date): string {
  if (last === "yesterday") return back(today, 1);
  const count = Number(last);
  if (count > 0) return `${back(today, Math.min(count, 36_500) - 1)}-${back(today, 0)}`;
  if (!from && !to) return "";
  return from === to ? dicom(from) : `${dicom(from)}-${dicom(to)}`;
}
