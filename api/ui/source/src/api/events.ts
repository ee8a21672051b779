/** Events of the log, as `/events` and `/{level}/{id}/history` show them. */

import { askJson } from "./client";

export interface ArchiveEvent {
  Seq: number;
  /** Name and version, as in `instance-stored/2`. */
  Tag: string;
  AtMicroseconds: number;
  Actor: string;
  Aggregate: string;
  Correlation: string;
  IsErased?: boolean;
  Values?: Record<string, unknown>;
  Resource?: { Level: string; ID: string; Path: string; State: "Current" | "Replaced" | "Deleted" } | null;
}

export const getHistory = (collection: string, id: string): Promise<ArchiveEvent[]> =>
  askJson(`/${collection}/${id}/history`);

export interface Filter {
  types?: string[];
  levels?: string[];
}

export function query(filter: Filter): URLSearchParams {
  const asked = new URLSearchParams();
  if (filter.types?.length) asked.set("types", filter.types.join(","));
  if (filter.levels?.length) asked.set("levels", filter.levels.join(","));
  return asked;
}

/** The latest events that fit, the newest first; `to` goes on from an earlier page. */
export async function latest(
  filter: Filter,
  limit: number,
  to?: number,
): Promise<{ Events: ArchiveEvent[]; Last: number }> {
  const asked = query(filter);
  asked.set("order", "desc");
  asked.set("limit", String(limit));
  if (to !== undefined) asked.set("to", String(to));
  return askJson(`/events?${asked.toString()}`);
}

/** The next events that fit, the oldest first. */
export async function later(filter: Filter, limit: number, since: number): Promise<{ Events: ArchiveEvent[] }> {
  const asked = query(filter);
  asked.set("since", String(since));
  asked.set("limit", String(limit));
  return askJson(`/events?${asked.toString()}`);
}

export const getEvent = (seq: number): Promise<ArchiveEvent> => askJson(`/events/${seq}`);

const next = async (since: number): Promise<ArchiveEvent | undefined> =>
  (await askJson<{ Events: ArchiveEvent[] }>(`/events?since=${since}&limit=1`)).Events[0];

/** Return the last event up to a moment, null where there is none: the log's time never runs back, so it is found by halves. */
export async function seqAt(moment_ms: number, following = next): Promise<number | null> {
  const { Head } = await askJson<{ Head: number }>("/events/head");
  let [known, beyond] = [0, Head + 1]; // `known` is not later, `beyond` is
  while (beyond - known > 1) {
    const middle = Math.floor((known + beyond) / 2);
    const event = await following(middle - 1);
    if (event === undefined || event.AtMicroseconds / 1000 > moment_ms) beyond = middle;
    else known = event.Seq;
  }
  return known === 0 ? null : known;
}

/** The name of a type without its version. */
export const nameOf = (event: ArchiveEvent): string => event.Tag.replace(/\/\d+$/, "");
