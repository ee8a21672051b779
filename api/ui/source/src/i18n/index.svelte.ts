/** Words of the page. A language is one file beside `en.json` with the same keys; what it lacks is shown in English. */

import english from "./en.json";

export type Key = keyof typeof english;
type Words = Record<string, string | Partial<Record<Intl.LDMLPluralRule, string>>>;

/** Languages but English, each loaded when it is chosen. */
const OTHERS = import.meta.glob<{ default: Words }>(["./*.json", "!./en.json"]);

class Language {
  code = $state("en");
  words: Words = $state.raw(english);

  async choose(code: string): Promise<void> {
    const load = OTHERS[`./${code}.json`];
    this.words = load === undefined ? english : { ...english, ...(await load()).default };
    this.code = load === undefined ? "en" : code;
    document.documentElement.lang = this.code;
  }
}

export const language = new Language();

/** Return the words for a key; `{name}` in them is replaced, `count` chooses the plural. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  const found = language.words[key];
  const plural = new Intl.PluralRules(language.code).select(Number(values.count ?? 0));
  const text = typeof found === "object" ? (found[plural] ?? found.other ?? key) : (found ?? key);
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === "number" ? value.toLocaleString(language.code) : value;
  });
}
