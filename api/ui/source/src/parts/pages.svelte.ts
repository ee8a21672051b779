/** The pages of a long list that were fetched, and those that are on their way. */

import { PAGE } from "./place";

export type Load<Row> = (since: number, limit: number, signal: AbortSignal) => Promise<Row[]>;

const KEPT_PAGES = 40;
const RESTING_MS = 60; // a list that flies by asks for nothing

interface Page<Row> {
  rows: Row[];
  version: number;
}

export class Pages<Row extends { ID: string }> {
  private kept: Map<number, Page<Row>> = $state.raw(new Map());
  private readonly asked = new Map<number, AbortController>();

  constructor(
    private readonly load: Load<Row>,
    private readonly onfailure: (error: unknown) => void,
  ) {}

  /** How many rows the first page has. */
  get begun(): number {
    return this.kept.get(0)?.rows.length ?? 0;
  }

  at(index: number): Row | undefined {
    return this.kept.get(Math.floor(index / PAGE))?.rows[index % PAGE];
  }

  /** A row moves as others come before it. Those that are not loaded are out of sight. */
  find(id: string): number | null {
    for (const [page, { rows }] of this.kept) {
      const step = rows.findIndex((each) => each.ID === id);
      if (step >= 0) return page * PAGE + step;
    }
    return null;
  }

  /** Another list: what was loaded is of no use any more. */
  forget(): void {
    for (const controller of this.asked.values()) controller.abort();
    this.asked.clear();
    this.kept = new Map();
  }

  /** Fetch those of some pages that are not here in this version, and no others. Returns what ends waiting for it. */
  want(wanted: Set<number>, version: number): (() => void) | undefined {
    for (const [page, controller] of this.asked) {
      if (wanted.has(page)) continue;
      controller.abort();
      this.asked.delete(page);
    }
    const missing = [...wanted].filter((page) => this.kept.get(page)?.version !== version && !this.asked.has(page));
    if (missing.length === 0) return undefined;
    const ask = () => missing.forEach((page) => void this.fetch(page, wanted, version));
    if (this.kept.size === 0) return void ask();
    const timer = setTimeout(ask, RESTING_MS);
    return () => clearTimeout(timer);
  }

  private async fetch(page: number, wanted: Set<number>, version: number): Promise<void> {
    if (this.asked.has(page)) return;
    const controller = new AbortController();
    this.asked.set(page, controller);
    try {
      const rows = await this.load(page * PAGE, PAGE, controller.signal);
      if (controller.signal.aborted) return;
      const kept = new Map(this.kept);
      kept.delete(page); // so that it is the latest of them
      kept.set(page, { rows, version });
      for (const old of kept.keys()) if (kept.size > KEPT_PAGES && !wanted.has(old)) kept.delete(old);
      this.asked.delete(page);
      this.kept = kept;
    } catch (error) {
      if (!controller.signal.aborted) this.onfailure(error);
    } finally {
      if (this.asked.get(page) === controller) this.asked.delete(page);
    }
  }
}
