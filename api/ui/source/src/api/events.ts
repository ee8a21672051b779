/** Events of the log, as `/events` and `/{level}/{id}/history` show them. */

import { askJson } from "./client";

export interface ArchiveEvent {
  Seq: number;
  Tag: string;
  AtMicroseconds: number;
  Actor: string;
  Values?: Record<string, unknown>;
  Resource?: { Level: string; ID: string; Path: string; State: string };
}

export async function getHistory(collection: string, id: string): Promise<ArchiveEvent[]> {
  const told = await askJson<ArchiveEvent[] | { Events: ArchiveEvent[] }>(`/${collection}/${id}/history`);
  return Array.isArray(told) ? told : told.Events;
}
