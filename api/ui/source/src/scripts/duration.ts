/** A short time in words: microseconds, milliseconds or seconds, with two digits that tell. */
export function duration(seconds: number, locale: string): string {
  const [value, unit] = seconds < 0.001 ? [seconds * 1e6, "µs"] : seconds < 1 ? [seconds * 1e3, "ms"] : [seconds, "s"];
  const digits = value < 100 ? { maximumSignificantDigits: 2 } : { maximumFractionDigits: 0 };
  return `${value.toLocaleString(locale, digits)} ${unit}`;
}
