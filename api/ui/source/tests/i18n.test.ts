import { readdirSync, readFileSync } from "node:fs";

import { afterEach, beforeEach, expect, test, vi } from "vitest";

import english from "../src/i18n/en.json";
import { Language } from "../src/i18n/index.svelte";

type Words = Record<string, string | Record<string, string>>;

const FOLDER = "src/i18n";
const read = (name: string) => JSON.parse(readFileSync(`${FOLDER}/${name}`, "utf-8")) as Words;
const OTHERS = readdirSync(FOLDER).filter((name) => name.endsWith(".json") && name !== "en.json");

const textsOf = (words: Words[string] = ""): string[] => (typeof words === "string" ? [words] : Object.values(words));
const placeholders = (text: string): string[] => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort();
/** What a plural may leave out in its singular, such as "one study". */
const required = (words: Words[string] = ""): string[] =>
  placeholders(typeof words === "string" ? words : (words.other ?? ""));

test("there are other languages", () => {
  expect(OTHERS).toEqual(expect.arrayContaining(["de.json", "fr.json"]));
});

test.each(OTHERS)("%s has the keys of English, and every placeholder of each", (name) => {
  const words = read(name);
  expect(Object.keys(words).filter((key) => !(key in english))).toEqual([]);
  expect(Object.keys(english).filter((key) => !(key in words))).toEqual([]); // to be translated
  for (const [key, told] of Object.entries(words)) {
    const origin = (english as Words)[key];
    const isPlural = typeof origin === "object";
    expect([key, typeof told === "object"]).toEqual([key, isPlural]);
    if (isPlural) {
      const rules = new Intl.PluralRules(name.slice(0, -".json".length)).resolvedOptions().pluralCategories;
      expect([key, rules.filter((rule) => !(rule in (told as object)) && rule !== "many")]).toEqual([key, []]);
    }
    expect([key, required(told)]).toEqual([key, required(origin)]);
    const known = new Set(textsOf(origin).flatMap(placeholders));
    expect([
      key,
      textsOf(told)
        .flatMap(placeholders)
        .filter((one) => !known.has(one)),
    ]).toEqual([key, []]);
  }
});

const others = {
  de: () => Promise.resolve({ default: { "nav.archive": "Archiv" } }),
  pt: () => Promise.reject(new Error("away")),
};

beforeEach(() => localStorage.clear());
afterEach(() => {
  vi.unstubAllGlobals();
  document.documentElement.lang = "en";
});

function browser(...languages: string[]): Language {
  vi.stubGlobal("navigator", { languages });
  return new Language(others);
}

test("the browser's language is shown, in the manner of its region, and what is lacking in English", async () => {
  const language = browser("tlh", "de-CH", "en-US");
  await language.begin();
  expect([language.code, language.name, document.documentElement.lang]).toEqual(["de-CH", "de", "de-CH"]);
  expect([language.words["nav.archive"], language.words["nav.upload"]]).toEqual(["Archiv", "Upload"]);
});

test("a language of which there are no words is passed over", async () => {
  const language = browser("tlh");
  await language.begin();
  expect([language.code, language.words["nav.archive"]]).toEqual(["en", "Archive"]);
});

test("what was chosen is remembered, whatever the browser asks for", async () => {
  await browser("en-GB").choose("de");
  const later = browser("en-GB");
  await later.begin();
  expect([later.code, later.words["nav.archive"]]).toEqual(["de", "Archiv"]);
  await later.choose("en");
  expect([later.code, later.words["nav.archive"]]).toEqual(["en-GB", "Archive"]);
});

test("words that cannot be loaded leave the page in English", async () => {
  const language = browser("pt");
  await expect(language.begin()).rejects.toThrow("away");
  expect([language.code, language.words["nav.archive"]]).toEqual(["en", "Archive"]);
});
