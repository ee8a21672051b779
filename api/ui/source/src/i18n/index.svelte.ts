/**
 * Words of the page. A language is one file beside `en.json` with the same keys; what it lacks is shown in English.
 *
 * The browser says which is wanted, until somebody chooses one here. But for English they are loaded on demand.
 */

import english from "./en.json";
import { numbers, plurals } from "./formats";

export type Key = keyof typeof english;
type Words = Record<string, string | Partial<Record<Intl.LDMLPluralRule, string>>>;
type Load = () => Promise<{ default: Words }>;

const CHOSEN = "sinogram-language";
const FILES = import.meta.glob<{ default: Words }>(["./*.json", "!./en.json"]);
const OTHERS: Record<string, Load> = Object.fromEntries(
  Object.entries(FILES).map(([path, load]) => [path.slice("./".length, -".json".length), load]),
);

export class Language {
  /** A locale, such as de-CH: dates and numbers are written as there. */
  code = $state("en");
  words: Words = $state.raw(english);

  constructor(private readonly others = OTHERS) {}

  /** All that there are, as their codes. */
  get all(): string[] {
    return ["en", ...Object.keys(this.others)];
  }

  /** The language of the words, without the region. */
  get name(): string {
    return baseOf(this.code);
  }

  /** Show the page as it was chosen before, or else as the browser asks. */
  async begin(): Promise<void> {
    const wanted = [localStorage.getItem(CHOSEN), ...navigator.languages].filter((each) => each !== null);
    await this.show(wanted.map(baseOf).find((each) => this.all.includes(each)) ?? "en");
  }

  async choose(name: string): Promise<void> {
    localStorage.setItem(CHOSEN, name);
    await this.show(name);
  }

  private async show(name: string): Promise<void> {
    const load = this.others[name];
    this.words = load === undefined ? english : { ...english, ...(await load()).default };
    this.code = navigator.languages.find((each) => baseOf(each) === name) ?? name;
    document.documentElement.lang = this.code;
  }
}

const baseOf = (code: string): string => code.split("-")[0]?.toLowerCase() ?? "";

export const language = new Language();

/** Return the words for a key; `{name}` in them is replaced, `count` chooses the plural. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  const found = language.words[key];
  const text = typeof found === "object" ? pluralOf(found, Number(values.count ?? 0)) : found;
  if (text === undefined) return key;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === "number" ? numbers(language.code).format(value) : value;
  });
}

function pluralOf(forms: Exclude<Words[string], string>, count: number): string | undefined {
  return forms[plurals(language.code).select(count)] ?? forms.other;
}
