/** One upload: what somebody has chosen or dropped at once, and what becomes of each file. */

import type { Resource } from "../api/archive";
import type { Found } from "./files";
import type { Left, Outcome } from "./post";
import { Refused } from "./post";
import { type Arrived, Tally } from "./tally";

/** A list shows so many names. All are counted, and all that have failed can be sent again. */
export const SHOWN = 200;
export const SHOWN_STUDIES = 100;
const REFRESH_MS = 100;
const AT_A_TIME_MS = 20;

export interface Item {
  id: number;
  name: string;
  bytes: number;
  sent: number;
  file: File | null;
}

/** What is told of a file at the end. */
export interface Told {
  id: number;
  name: string;
  /** In the server's words; of what is stored whether it was there before, and how much came of it. */
  reason: string;
  isKnown: boolean;
  count: number;
}

interface Failure {
  item: Item;
  reason: string;
  isPassing: boolean;
}

export interface Shown extends Arrived {
  /** undefined: not asked yet; null: not there any more, or the server has not said. */
  resource: Resource | null | undefined;
  modalities: string[];
}

export type Describe = (arrived: Arrived[]) => Promise<Shown[]>;

const KINDS = ["image", "directory", "other", "filtered"] as const;
type Lists = Record<(typeof KINDS)[number], Told[]>;
const none = (): Lists => ({ image: [], directory: [], other: [], filtered: [] });

export class Batch {
  total = $state(0);
  /** Files that are through, however that went. */
  done = $state(0);
  failed = $state(0);
  /** Of those how many may be sent again. */
  passing = $state(0);
  stored = $state(0);
  known = $state(0);
  bytes = $state(0);
  sentBytes = $state(0);
  isRunning = $state(false);
  isListing = $state(false);
  /** Nothing was in what was chosen. */
  isEmpty = $state(false);
  studyCount = $state(0);
  counts = $state.raw({ image: 0, directory: 0, other: 0, filtered: 0 });

  sending: Item[] = $state.raw([]);
  latest: Told[] = $state.raw([]);
  left: Lists = $state.raw(none());
  failures: Told[] = $state.raw([]);
  studies: Shown[] = $state.raw([]);
  /** The folder that all lies in, or the name of the only file; empty where there are several. */
  title = $state("");
  readonly began = new Date();

  private readonly now = { total: 0, done: 0, failed: 0, stored: 0, known: 0, bytes: 0, sentBytes: 0 };
  private readonly nowLeft = { image: 0, directory: 0, other: 0, filtered: 0 };
  private readonly lists = none();
  private readonly tally = new Tally();
  private waiting: Item[] = [];
  private readonly under = new Map<Item, AbortController>();
  private kept: Told[] = [];
  private failing: Failure[] = [];
  private last = 0;
  private turn = 0;
  private isStopped = false;
  private isTold = true;
  private timer: ReturnType<typeof setTimeout> | null = null;

  constructor(
    readonly id: number,
    private readonly onwaiting: () => void,
    private readonly describe: Describe,
  ) {}

  get hasWaiting(): boolean {
    return this.waiting.length > 0;
  }

  add({ name, file, reason = "" }: Found): void {
    const item = { id: ++this.last, name, bytes: file?.size ?? 0, sent: 0, file };
    const first = name.split("/")[0] ?? "";
    if (this.now.total === 0) this.title = first;
    else if (first !== this.title) this.title = "";
    this.now.total += 1;
    this.now.bytes += item.bytes;
    if (file === null) this.fail(item, reason, false);
    else if (this.isStopped) this.fail(item, "", true);
    else this.waiting.push(item);
    this.isRunning ||= this.hasWaiting;
    this.onwaiting();
    this.show();
  }

  /** Add many: a browser looks up how large each is, which takes a millisecond of a file in a folder, so the page answers in between. */
  async addAll(found: Iterable<Found> | AsyncIterable<Found>): Promise<void> {
    this.isListing = true;
    let rested = performance.now();
    try {
      for await (const one of found) {
        this.add(one);
        if (performance.now() - rested < AT_A_TIME_MS) continue;
        await new Promise((resolve) => setTimeout(resolve));
        rested = performance.now();
      }
    } finally {
      this.isListing = false;
      this.isEmpty = this.now.total === 0;
      this.show();
    }
  }

  /** Give away the next file, which is under way then. */
  take(): [Item, File, AbortSignal] | null {
    const item = this.waiting.shift();
    if (!item?.file) return null;
    const controller = new AbortController();
    this.under.set(item, controller);
    this.show();
    return [item, item.file, controller.signal];
  }

  progress(item: Item, sent: number): void {
    this.now.sentBytes += sent - item.sent;
    item.sent = sent;
    this.show();
  }

  end(item: Item, outcome: Outcome | Error): void {
    const isBroken = this.under.get(item)?.signal.aborted ?? false;
    this.under.delete(item);
    if (outcome instanceof Error) {
      const isPassing = isBroken || !(outcome instanceof Refused) || outcome.isPassing;
      this.fail(item, isBroken ? "" : outcome.message, isPassing);
      return;
    }
    this.progress(item, item.bytes);
    this.now.done += 1;
    for (const one of outcome.left) this.leave(one);
    if (outcome.stored.length > 0) this.keep(item, outcome);
    item.file = null; // the browser may forget it
    this.show();
  }

  private keep({ id, name }: Item, { stored }: Outcome): void {
    const known = stored.filter(({ Status }) => Status === "AlreadyStored").length;
    for (const one of stored) this.tally.add(one);
    this.isTold = false;
    this.now.known += known;
    this.now.stored += stored.length - known;
    this.kept.push({ id, name, reason: "", isKnown: known === stored.length, count: stored.length });
    if (this.kept.length > SHOWN) this.kept.shift();
  }

  private leave({ name, kind, reason, count }: Left): void {
    this.nowLeft[kind] += count;
    const list = this.lists[kind];
    if (list.length < SHOWN) list.push({ id: ++this.last, name, reason, isKnown: false, count });
  }

  private fail(item: Item, reason: string, isPassing: boolean): void {
    this.now.done += 1;
    this.now.failed += 1;
    this.failing.push({ item, reason, isPassing });
    this.show();
  }

  /** Send again what has failed and may go well now. */
  retry(): void {
    const again = this.failing.filter(({ isPassing }) => isPassing);
    this.failing = this.failing.filter(({ isPassing }) => !isPassing);
    this.isStopped = false;
    for (const { item } of again) {
      this.now.done -= 1;
      this.now.failed -= 1;
      this.progress(item, 0);
      this.waiting.push(item);
    }
    this.isRunning ||= this.hasWaiting;
    this.onwaiting();
  }

  /** Leave out what has not been sent; what is under way is broken off. */
  stop(): void {
    this.isStopped = true;
    for (const item of this.waiting.splice(0)) this.fail(item, "", true);
    for (const controller of this.under.values()) controller.abort();
  }

  /** Show how things stand, ten times a second at most: thousands of files report more often than anybody can see. */
  private show(): void {
    if (this.timer !== null) return;
    this.timer = setTimeout(() => {
      this.timer = null;
      Object.assign(this, this.now);
      this.counts = { ...this.nowLeft };
      this.sending = [...this.under.keys()].map((item) => ({ ...item }));
      this.latest = [...this.kept];
      for (const kind of KINDS)
        if (this.left[kind].length < this.lists[kind].length)
          this.left = { ...this.left, [kind]: [...this.lists[kind]] };
      this.passing = this.failing.filter(({ isPassing }) => isPassing).length;
      this.failures = this.failing.slice(0, SHOWN).map(tellFailure);
      this.isRunning = this.under.size > 0 || this.waiting.length > 0;
      if (!this.isRunning && !this.isListing && !this.isTold) void this.tell();
    }, REFRESH_MS);
  }

  /** Show the studies, and what they are once the server has said it. */
  private async tell(): Promise<void> {
    this.isTold = true;
    const turn = ++this.turn; // more may have come before this is answered
    const arrived = this.tally.first(SHOWN_STUDIES);
    this.studyCount = this.tally.count;
    this.studies = arrived.map((one) => ({ ...one, resource: undefined, modalities: [] }));
    // Where the server does not say it, they can be opened all the same.
    const told = await this.describe(arrived).catch(() =>
      arrived.map((one) => ({ ...one, resource: null, modalities: [] })),
    );
    if (turn === this.turn) this.studies = told;
  }
}

const tellFailure = ({ item, reason }: Failure): Told => ({
  id: item.id,
  name: item.name,
  reason,
  isKnown: false,
  count: 1,
});
