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

/** The name of a type without its version. */
export const nameOf = (event: ArchiveEvent): string => event.Tag.replace(/\/\d+$/, "");
