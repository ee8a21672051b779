/** An event in one line: what it is about beyond its type, and who has caused it. */

import { type ArchiveEvent, nameOf } from "../api/events";
import { language, t } from "../i18n/index.svelte";
import { bytes, day, personName } from "../parts/values";

type Values = Record<string, unknown>;
const isTags = (value: unknown): value is Record<string, string> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const [NAME, ID, DATE, DESCRIPTION, MODALITY, SERIES] = [
  "0010,0010", "0010,0020", "0008,0020", "0008,1030", "0008,0060", "0008,103e",
]; // prettier-ignore

/** Names of people and things that an event of a new resource, or of a worklist, has in itself. */
function ofTags({ tags, patient_tags }: Values): string[] {
  const all = { ...(isTags(patient_tags) ? patient_tags : {}), ...(isTags(tags) ? tags : {}) };
  const of = (tag: string) => (typeof all[tag] === "string" ? all[tag] : "");
  return [personName(of(NAME)), of(ID), of(DESCRIPTION), day(of(DATE), language.code), of(MODALITY), of(SERIES)];
}

/** Values that say most, in this order. */
const TOLD = ["label", "name", "type", "callback", "key", "value", "content", "aet", "url", "details", "filename"];

export function summaryOf(event: ArchiveEvent): string {
  const values: Values = event.Values ?? {};
  const told = TOLD.flatMap((name) => {
    const value = values[name];
    return typeof value === "string" || typeof value === "number" ? [String(value)] : [];
  });
  const { size_bytes: size, step } = values;
  if (typeof step === "number") told.unshift(t("jobs.step", { step: step + 1 }));
  const all = [...ofTags(values), ...told, typeof size === "number" ? bytes(size, language.code) : ""];
  return [...new Set(all.filter(Boolean))].join(" · ");
}

/** Who has caused it: the user, where one is known, from where, or the part of the server. */
export function whoOf(event: ArchiveEvent): string {
  const { username, remote_aet, remote_ip } = (event.Values ?? {}) as Record<string, string | undefined>;
  return [username || remote_aet || "", event.Actor, remote_ip === "127.0.0.1" ? "" : remote_ip]
    .filter(Boolean)
    .join(" · ");
}

/** Which job it is about, by the number of its first event; null for none. */
export const jobOf = (event: ArchiveEvent): number | null => {
  if (!nameOf(event).startsWith("job-")) return null;
  const job = event.Values?.job;
  return typeof job === "number" ? job : event.Seq;
};

export type Tone = "bad" | "good" | "new" | "plain";

export function toneOf(name: string): Tone {
  if (/(failed|damaged|deleted|cancelled|skipped|interrupted|purged|removed|dropped)$/.test(name)) return "bad";
  if (/(succeeded|recovered|healed|stabilized|completed)$/.test(name)) return "good";
  return /(created|stored|submitted|added)$/.test(name) ? "new" : "plain";
}
