/** Events of the log, as `/events` and `/{level}/{id}/history` show them, and the feed of new ones. */

import { ask, askJson, RequestFailed } from "./client";

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

export async function getHistory(collection: string, id: string): Promise<ArchiveEvent[]> {
  const told = await askJson<ArchiveEvent[] | { Events: ArchiveEvent[] }>(`/${collection}/${id}/history`);
  return Array.isArray(told) ? told : told.Events;
}

export interface Filter {
  types?: string[];
  levels?: string[];
  resource?: string;
}

function query(filter: Filter): URLSearchParams {
  const asked = new URLSearchParams();
  if (filter.types?.length) asked.set("types", filter.types.join(","));
  if (filter.levels?.length) asked.set("levels", filter.levels.join(","));
  if (filter.resource) asked.set("resource", filter.resource);
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

/** What a stream of Server-Sent Events says, one message at a time; see the page on the feed. */
export interface Message {
  id: string;
  event: string;
  data: string;
}

/** Take a stream apart: feed it text as it comes, and get the messages that are whole. */
export class StreamReader {
  private rest = "";
  private now: Message = { id: "", event: "", data: "" };

  take(text: string): Message[] {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop() ?? "";
    const whole: Message[] = [];
    for (const line of lines) {
      if (line === "") {
        if (this.now.data !== "") whole.push(this.now);
        this.now = { id: this.now.id, event: "", data: "" };
        continue;
      }
      const [, field = "", value = ""] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
      if (field === "id" || field === "event") this.now[field] = value;
      else if (field === "data") this.now.data += value;
    }
    return whole;
  }
}

const AGAIN_MS = 2_000;

/**
 * Hear of new events until the returned function is called; a stream that ends is opened again where it was.
 *
 * A browser opens six connections to a server for all of its tabs, and a stream keeps one of them. So there is none while the tab is
 * hidden. It is read by fetch, as an EventSource cannot tell a refusal from a server that is away, and hears only types whose names it knows.
 */
export function follow(
  filter: Filter,
  heard: (event: ArchiveEvent) => void,
  connected: (isConnected: boolean) => void = () => undefined,
  since: string | number = "now",
): () => void {
  let position = String(since);
  let isOver = false;
  let stream: AbortController | null = null;

  async function read(signal: AbortSignal): Promise<void> {
    const asked = query(filter);
    asked.set("since", position);
    const response = await ask(`/events?${asked.toString()}`, { headers: { Accept: "text/event-stream" }, signal });
    const pieces = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    if (pieces === undefined) return;
    connected(true);
    const reader = new StreamReader();
    for (let piece = await pieces.read(); !piece.done; piece = await pieces.read()) {
      for (const message of reader.take(piece.value)) {
        if (message.event !== "head") heard(JSON.parse(message.data) as ArchiveEvent);
        position = message.id;
      }
    }
  }

  async function run(): Promise<void> {
    while (!isOver && document.visibilityState === "visible") {
      stream = new AbortController();
      try {
        await read(stream.signal);
      } catch (error) {
        if (error instanceof RequestFailed && error.status < 500) isOver = true; // a filter or a session that is wrong stays wrong
      }
      connected(false);
      if (!isOver && document.visibilityState === "visible")
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
    running = null;
  }

  let running: Promise<void> | null = run();
  const look = () => {
    if (document.visibilityState === "hidden") stream?.abort();
    else running ??= run();
  };
  document.addEventListener("visibilitychange", look);
  return () => {
    isOver = true;
    document.removeEventListener("visibilitychange", look);
    stream?.abort();
  };
}
