/** Uploads, some at a time, which go on while other views are shown. */

import { PAGE_HEADER } from "../api/client";
import { session } from "../api/session.svelte";
import type { Found } from "./files";

/** Browsers open six connections to a server: some are left for the page. */
export const AT_ONCE = 4;
/** The list shows so many of the latest files; failures are kept apart, and all can be sent again. */
const SHOWN = 200;
const SHOWN_FAILURES = 1_000;
const REFRESH_MS = 100;
const AT_A_TIME_MS = 20;

export type State = "waiting" | "sending" | "stored" | "known" | "failed";

export interface Item {
  id: number;
  name: string;
  bytes: number;
  sent: number;
  state: State;
  /** Why it has failed, in the server's words. */
  reason: string;
  /** How many instances came of it: a ZIP has many. */
  instances: number;
  file: File | null;
}

export interface Outcome {
  instances: number;
  isKnown: boolean;
}

export type Send = (item: Item, onprogress: (sent: number) => void, signal: AbortSignal) => Promise<Outcome>;

class Refused extends Error {}

interface Stored {
  Status: string;
}

/** Send one file; XMLHttpRequest tells how far an upload has come, fetch does not. */
const post: Send = (item, onprogress, signal) =>
  new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/instances");
    for (const [name, value] of Object.entries(PAGE_HEADER)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onprogress(event.loaded);
    request.onload = () => {
      if (request.status === 401) session.now = null;
      try {
        if (request.status !== 200) {
          const told = request.responseText
            ? (JSON.parse(request.responseText) as { Message?: string; Details?: string })
            : {};
          throw new Refused(told.Details ?? told.Message ?? `HTTP ${request.status}`);
        }
        const answer = JSON.parse(request.responseText) as Stored | Stored[];
        const stored = Array.isArray(answer) ? answer : [answer];
        resolve({
          instances: stored.length,
          isKnown: stored.length > 0 && stored.every((one) => one.Status === "AlreadyStored"),
        });
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    };
    request.onerror = () => reject(new Error("The connection broke"));
    request.onabort = () => reject(new DOMException("stopped", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    request.send(item.file);
  });

export class Queue {
  /** The latest files, the newest last. */
  shown: Item[] = $state.raw([]);
  failures: Item[] = $state.raw([]);
  total = $state(0);
  done = $state(0);
  failed = $state(0);
  instances = $state(0);
  bytes = $state(0);
  sentBytes = $state(0);
  isRunning = $state(false);

  private waiting: Item[] = [];
  private latest: Item[] = [];
  /** What is shown of each, until it changes: a row is drawn again only for another object. */
  private readonly drawn = new WeakMap<Item, Item>();
  private failing: Item[] = [];
  private sending = new Map<Item, AbortController>();
  private counts = { total: 0, done: 0, failed: 0, instances: 0, bytes: 0, sentBytes: 0 };
  private last = 0;
  private timer: ReturnType<typeof setTimeout> | null = null;

  constructor(private readonly send: Send = post) {}

  add(found: Found): void {
    const { name, file } = found;
    this.put({ id: ++this.last, name, bytes: file.size, sent: 0, state: "waiting", reason: "", instances: 0, file });
  }

  /** Add many: a browser looks up how large each is, which takes a millisecond of a file in a folder, so the page answers in between. */
  async addAll(found: Iterable<Found> | AsyncIterable<Found>): Promise<void> {
    let rested = performance.now();
    for await (const one of found) {
      this.add(one);
      if (performance.now() - rested < AT_A_TIME_MS) continue;
      await new Promise((resolve) => setTimeout(resolve));
      rested = performance.now();
    }
  }

  private put(item: Item): void {
    this.waiting.push(item);
    this.latest.push(item);
    if (this.latest.length > SHOWN) this.latest.shift();
    this.counts.total += 1;
    this.counts.bytes += item.bytes;
    this.fill();
  }

  /** Send again what has failed. */
  retry(): void {
    const again = this.failing.filter((item) => item.file !== null);
    this.failing = this.failing.filter((item) => item.file === null);
    for (const item of again) {
      this.counts.total -= 1;
      this.counts.failed -= 1;
      this.counts.bytes -= item.bytes;
      this.counts.sentBytes -= item.sent;
      this.change(item, { state: "waiting", sent: 0, reason: "" });
      this.latest = this.latest.filter((one) => one !== item);
      this.put(item);
    }
  }

  /** Leave out what has not been sent; what is under way is broken off. */
  stop(): void {
    for (const item of this.waiting.splice(0)) this.fail(item, "stopped");
    for (const controller of this.sending.values()) controller.abort();
    this.show();
  }

  private fill(): void {
    while (this.sending.size < AT_ONCE) {
      const next = this.waiting.shift();
      if (next === undefined) break;
      void this.run(next);
    }
    this.show();
  }

  private async run(item: Item): Promise<void> {
    const controller = new AbortController();
    this.sending.set(item, controller);
    this.change(item, { state: "sending" });
    const progress = (sent: number): void => {
      this.counts.sentBytes += sent - item.sent;
      this.change(item, { sent });
      this.show();
    };
    try {
      const outcome = await this.send(item, progress, controller.signal);
      progress(item.bytes);
      this.change(item, {
        state: outcome.isKnown ? "known" : "stored",
        instances: outcome.instances,
        file: null, // the browser may forget it
      });
      this.counts.done += 1;
      this.counts.instances += outcome.instances;
    } catch (error) {
      this.fail(item, controller.signal.aborted ? "stopped" : error instanceof Error ? error.message : String(error));
    } finally {
      this.sending.delete(item);
      this.fill();
    }
  }

  private fail(item: Item, reason: string): void {
    this.change(item, { state: "failed", reason });
    this.counts.failed += 1;
    this.failing.push(item);
  }

  private change(item: Item, part: Partial<Item>): void {
    Object.assign(item, part);
    this.drawn.delete(item);
  }

  private draw = (item: Item): Item => {
    const drawn = this.drawn.get(item) ?? { ...item };
    this.drawn.set(item, drawn);
    return drawn;
  };

  /** Show how things stand, ten times a second at most: thousands of files report more often than anybody can see. */
  private show(): void {
    if (this.timer !== null) return;
    this.timer = setTimeout(() => {
      this.timer = null;
      Object.assign(this, this.counts);
      this.shown = this.latest.map(this.draw);
      this.failures = this.failing.slice(0, SHOWN_FAILURES).map(this.draw);
      this.isRunning = this.sending.size > 0;
    }, REFRESH_MS);
  }
}

export const queue = new Queue();
