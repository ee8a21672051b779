/** What somebody has filled in for a dry replay; it is there again after a look at another view. */

import { PATHS, type Level } from "../api/archive";
import type { ReplayRequest } from "../api/lua";
import type { Key } from "../i18n/index.svelte";

export interface Draft {
  /** A script that is written or chosen here, or those of the configuration. */
  origin: "own" | "configured";
  name: string;
  source: string;
  by: "last" | "numbers" | "times";
  last: number;
  since: number;
  until: number | null;
  /** As an input of a date and a time has them: without a zone, the browser's. */
  from: string;
  to: string;
}

export const newDraft = (): Draft => ({
  origin: "own",
  name: "script.lua",
  source: "",
  by: "last",
  last: 1_000,
  since: 1,
  until: null,
  from: "",
  to: "",
});

export const draft: Draft = $state(newDraft());

/** What is asked of the server. */
export function requestOf(draft: Draft): ReplayRequest {
  const scripts = draft.origin === "own" ? { Scripts: [{ Name: draft.name, Source: draft.source }] } : {};
  return { ...scripts, ...rangeOf(draft) };
}

function rangeOf({ by, last, since, until, from, to }: Draft): ReplayRequest {
  if (by === "last") return { Last: last };
  if (by === "numbers") return { Since: since, ...(until === null ? {} : { Until: until }) };
  const moment = (text: string) => new Date(text).toISOString();
  return { ...(from === "" ? {} : { From: moment(from) }), ...(to === "" ? {} : { To: moment(to) }) };
}

/** Where a line of a text begins and ends; its end where there are fewer lines. */
export function lineOf(text: string, line: number): [number, number] {
  let start = 0;
  for (let number = 1; number < line; number += 1) {
    const next = text.indexOf("\n", start);
    if (next < 0) return [text.length, text.length];
    start = next + 1;
  }
  const end = text.indexOf("\n", start);
  return [start, end < 0 ? text.length : end];
}

/** What a callback is told of, and where the page shows it; null where that is gone, or has no place. */
export function subjectOf(callback: string, resource: string): { path: string; word: Key } | null {
  if (callback.startsWith("OnJob")) return { path: "/jobs", word: "nav.jobs" };
  const [, level] = /^On(?:Stored|Stable|Updated)(Patient|Study|Series|Instance)$/.exec(callback) ?? [];
  return level === undefined
    ? null
    : { path: `/${PATHS[level as Level]}/${resource}`, word: `level.${level as Level}` };
}
