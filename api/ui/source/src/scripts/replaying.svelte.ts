/**
 * A dry replay, while it goes on and afterwards. It goes on while other views are shown, and what it has told is there again.
 *
 * A replay may tell of a million calls. All are counted; of those that failed, would do something, or would do nothing, the first are kept.
 */

import {
  replay,
  type Call,
  type Place,
  type ReplayLine,
  type ReplayRequest,
  type Replays,
  type Running,
} from "../api/lua";

export const KINDS = ["failed", "effects", "silent"] as const;
export type Kind = (typeof KINDS)[number];
/** How many calls are kept. */
export const MOST_KEPT: Record<Kind, number> = { failed: 200, effects: 300, silent: 200 };
const REFRESH_MS = 100;

/** "ended": before its end, and `message` is why. */
export type State = "none" | "running" | "done" | "cancelled" | "ended" | "failed";

export interface KeptCall extends Call {
  number: number;
  kind: Kind;
}

export const kindOf = (call: Call): Kind =>
  call.Error !== null ? "failed" : call.Effects.length > 0 ? "effects" : "silent";

interface Told {
  calls: KeptCall[];
  counts: Record<Kind, number>;
  place: Place;
  running: Running | null;
}

const nothing = (): Told => ({
  calls: [],
  counts: { failed: 0, effects: 0, silent: 0 },
  place: { Position: 0, Events: 0, Calls: {}, Effects: {}, Failed: 0 },
  running: null,
});

export class Replaying {
  state: State = $state("none");
  message: string | null = $state(null);
  error: unknown = $state(null);
  range: { Since: number; Until: number } | null = $state.raw(null);
  told: Told = $state.raw(nothing());

  private coming = nothing();
  private timer: ReturnType<typeof setTimeout> | null = null;
  private controller = new AbortController();

  constructor(private readonly ask: Replays = replay) {}

  /** How many events it goes through. */
  get events(): number {
    return this.range === null ? 0 : Math.max(0, this.range.Until - this.range.Since + 1);
  }

  async begin(request: ReplayRequest): Promise<void> {
    this.clear();
    const { signal } = (this.controller = new AbortController());
    this.state = "running";
    try {
      for await (const line of this.ask(request, signal)) {
        if (signal.aborted) return;
        this.take(line);
      }
      if (!signal.aborted) this.end("ended"); // unless its last line has come: an answer without it was cut off
    } catch (error) {
      if (signal.aborted) return;
      this.error = error;
      this.end("failed");
    }
  }

  cancel(): void {
    this.controller.abort();
    this.end("cancelled");
  }

  private clear(): void {
    this.controller.abort();
    this.coming = nothing();
    this.show();
    this.range = this.message = this.error = null;
    this.state = "none";
  }

  private take(line: ReplayLine): void {
    if ("Callback" in line) this.hear(line);
    else if ("Running" in line) this.coming.running = line.Running;
    else if ("Since" in line) this.range = line;
    else {
      if (line.Position !== undefined) this.coming.place = line as Place;
      if ("Done" in line) {
        this.message = line.Message;
        this.end(line.Done ? "done" : "ended");
        return;
      }
    }
    this.timer ??= setTimeout(() => this.show(), REFRESH_MS);
  }

  private hear(call: Call): void {
    const { counts, calls } = this.coming;
    const kind = kindOf(call);
    counts[kind] += 1;
    this.coming.running = null;
    if (counts[kind] > MOST_KEPT[kind]) return;
    calls.push({ ...call, kind, number: counts.failed + counts.effects + counts.silent });
  }

  private end(state: State): void {
    if (this.state !== "running") return;
    this.coming.running = null;
    this.show();
    this.state = state;
  }

  /** Thousands of lines may come in a second: what they tell is shown together. */
  private show(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    const { calls, counts } = this.coming;
    this.told = { ...this.coming, calls: [...calls], counts: { ...counts } };
  }
}

export const replaying = new Replaying();
