/** Formats of a locale, each made once: making one takes a browser up to a millisecond, and a list writes hundreds of values. */

function kept<T>(make: (locale: string) => T): (locale: string) => T {
  const made = new Map<string, T>();
  return (locale) => {
    const found = made.get(locale) ?? make(locale);
    made.set(locale, found);
    return found;
  };
}

export const plurals = kept((locale) => new Intl.PluralRules(locale));
export const numbers = kept((locale) => new Intl.NumberFormat(locale));
export const days = kept(
  (locale) => new Intl.DateTimeFormat(locale, { timeZone: "UTC", year: "numeric", month: "short", day: "2-digit" }),
);
