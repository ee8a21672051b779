/** What people call resources of which only the identifiers are known: asked for some at a time, for those that are seen. */

import { untrack } from "svelte";

import { type Resource, valueOf } from "../api/archive";
import { askJson, RequestFailed } from "../api/client";
import type { ArchiveEvent } from "../api/events";
import { summaryOf } from "../events/summary";
import { personName } from "../parts/values";
import { subject } from "./subject";

const GATHERED_MS = 300;
const AGAIN_MS = 5_000; // after a failure
const MOST_AT_ONCE = 100;
const KEPT = 1_000;

/** A study is known by its patient, too. */
function nameOf(resource: Resource): string {
  const patient = resource.Type === "Study" ? personName(valueOf(resource, "PatientName")) : "";
  return [patient, subject([resource])].filter(Boolean).join(" · ");
}

export class Names {
  private known: Map<string, string> = $state.raw(new Map());
  private wanted = new Set<string>();
  private asked = new Set<string>();
  private timer: ReturnType<typeof setTimeout> | null = null;

  of(id: string): string | undefined {
    return this.known.get(id);
  }

  want(id: string): void {
    if (this.isKnown(id)) return;
    this.wanted.add(id);
    this.askIn(GATHERED_MS);
  }

  private askIn(wait_ms: number): void {
    this.timer ??= setTimeout(() => void this.askForAll(), wait_ms);
  }

  /** Whoever wants a name asks once, and not again when others become known. */
  private isKnown(id: string): boolean {
    return untrack(() => this.known.has(id));
  }

  /** What is gone is called as it was when it came, which the log knows. */
  async wantGone(path: string, id: string): Promise<void> {
    if (this.isKnown(id) || this.asked.has(id)) return;
    this.asked.add(id);
    try {
      const [created] = await askJson<ArchiveEvent[]>(`${path}/history`);
      this.know([[id, created === undefined ? "" : summaryOf(created)]]);
    } catch (error) {
      if (error instanceof RequestFailed && error.status === 404) this.know([[id, ""]]);
    } finally {
      this.asked.delete(id);
    }
  }

  private know(told: (readonly [string, string])[]): void {
    this.known = new Map([...this.known, ...told].slice(-KEPT));
  }

  private async askForAll(): Promise<void> {
    let error: unknown = null;
    try {
      while (this.wanted.size > 0) await this.askFor([...this.wanted].slice(0, MOST_AT_ONCE));
    } catch (found) {
      error = found;
    }
    this.timer = null;
    // Who is logged out sees no names; those that are seen after the next login are wanted then.
    if (error !== null && !(error instanceof RequestFailed && error.status === 401)) this.askIn(AGAIN_MS);
  }

  private async askFor(ids: string[]): Promise<void> {
    const body = { Resources: ids, Metadata: false };
    const found = await askJson<Resource[]>("/tools/bulk-content", { method: "POST", body });
    const names = new Map(found.map((resource) => [resource.ID, nameOf(resource)]));
    this.know(ids.map((id) => [id, names.get(id) ?? ""]));
    for (const id of ids) this.wanted.delete(id);
  }
}

export const names = new Names();
