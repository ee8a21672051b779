/**
 * The feed of new events: one stream for all that is shown.
 *
 * A browser opens six connections to a server for all of its tabs, and a stream keeps one of them. So all views share one, which asks
 * for what any of them wants, and there is none while nobody listens or the tab is hidden. It is read by fetch, as an EventSource cannot
 * tell a refusal from a server that is away, and hears only types whose names it knows.
 */

import { ask, askJson, RequestFailed } from "./client";
import { type ArchiveEvent, type Filter, nameOf, query } from "./events";

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

export interface Ear {
  heard: (event: ArchiveEvent) => void;
  connected?: (isConnected: boolean) => void;
  /** So much has happened meanwhile that it is not told event by event: what is shown is to be asked for again. */
  missed?: () => void;
}

interface Listener extends Ear {
  filter: Filter;
  /** The last event that it knows of; null: it wants what comes from now on. */
  after: number | null;
}

const GATHERED_MS = 30; // listeners that come and go, as one view gives way to another
const AGAIN_MS = 2_000;
export const MOST_BEHIND = 20_000; // events that are still told one by one to who was away

/** What all of several filters ask for, and perhaps more. */
export function unite(filters: Filter[]): Filter {
  const all = (lists: (string[] | undefined)[]): string[] =>
    lists.every((list) => list?.length) ? [...new Set(lists.flatMap((list) => list ?? []))].sort() : [];
  return { types: all(filters.map(({ types }) => types)), levels: all(filters.map(({ levels }) => levels)) };
}

export function fits(event: ArchiveEvent, { types, levels }: Filter): boolean {
  const isType = !types?.length || types.includes(nameOf(event)) || types.includes(event.Tag);
  return isType && (!levels?.length || levels.includes(event.Resource?.Level ?? ""));
}

export interface Source {
  /** Return pieces of a stream; the signal ends it. */
  open: (path: string, signal: AbortSignal) => Promise<ReadableStreamDefaultReader<string> | undefined>;
  head: () => Promise<number>;
}

const SERVER: Source = {
  open: async (path, signal) =>
    (await ask(path, { headers: { Accept: "text/event-stream" }, signal })).body
      ?.pipeThrough(new TextDecoderStream())
      .getReader(),
  head: async () => (await askJson<{ Head: number }>("/events/head")).Head,
};

export class Feed {
  private readonly listeners = new Set<Listener>();
  private stream: AbortController | null = null;
  private asked = "";
  private position: number | null = null;
  private isConnected = false;
  private plan: ReturnType<typeof setTimeout> | null = null;

  constructor(private readonly source: Source = SERVER) {
    document.addEventListener("visibilitychange", () => this.adjust());
  }

  /** Hear of new events until the returned function is called; a stream that ends is opened again where it was. */
  follow(filter: Filter, ear: Ear, since: number | "now" = "now"): () => void {
    const listener: Listener = { ...ear, filter, after: since === "now" ? this.position : since };
    this.listeners.add(listener);
    this.adjustSoon();
    return () => {
      this.listeners.delete(listener);
      this.adjustSoon();
    };
  }

  private adjustSoon(): void {
    this.plan ??= setTimeout(() => this.adjust(), GATHERED_MS);
  }

  private adjust(): void {
    if (this.plan !== null) clearTimeout(this.plan);
    this.plan = null;
    const isWanted = this.listeners.size > 0 && document.visibilityState === "visible";
    const asked = query(unite([...this.listeners].map(({ filter }) => filter))).toString();
    const behind = [...this.listeners].some(({ after }) => (after ?? Infinity) < (this.position ?? 0));
    if (isWanted && this.stream !== null && this.asked === asked && !behind) {
      for (const { connected } of this.listeners) connected?.(this.isConnected);
      return;
    }
    this.stream?.abort();
    this.stream = null;
    this.tell(false);
    if (!isWanted) return;
    this.asked = asked;
    this.stream = new AbortController();
    void this.run(this.stream.signal);
  }

  private tell(isConnected: boolean): void {
    this.isConnected = isConnected;
    for (const { connected } of this.listeners) connected?.(isConnected);
  }

  private async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.read(signal);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof RequestFailed && error.status < 500) break; // a filter or a session that is wrong stays wrong
      }
      if (signal.aborted) return;
      this.tell(false);
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
    if (!signal.aborted) this.tell(false);
  }

  private async read(signal: AbortSignal): Promise<void> {
    const known = [...this.listeners].flatMap(({ after }) => (after === null ? [] : [after]));
    let since = known.length > 0 ? Math.min(...known) : null;
    if (since !== null) {
      const head = await this.source.head();
      if (head < since || head - since > MOST_BEHIND) {
        since = head; // a log that is shorter than what was read is that of a backup
        for (const listener of this.listeners) {
          listener.after = head;
          listener.missed?.();
        }
      }
    }
    if (signal.aborted) return;
    const pieces = await this.source.open(
      `/events?since=${since ?? "now"}${this.asked ? `&${this.asked}` : ""}`,
      signal,
    );
    if (pieces === undefined || signal.aborted) return;
    this.tell(true);
    const reader = new StreamReader();
    for (let piece = await pieces.read(); !piece.done && !signal.aborted; piece = await pieces.read())
      for (const message of reader.take(piece.value)) this.spread(message);
  }

  private spread({ id, event, data }: Message): void {
    const told = event === "head" ? null : (JSON.parse(data) as ArchiveEvent);
    const seq = Number(id);
    this.position = seq;
    for (const listener of [...this.listeners]) {
      const isNew = listener.after === null || seq > listener.after;
      if (isNew) listener.after = seq;
      if (isNew && told !== null && fits(told, listener.filter)) listener.heard(told);
    }
  }
}

export const feed = new Feed();
