/** What people call resources of which only the identifiers are known: asked for some at a time, for those that are seen. */

import { untrack } from "svelte";

import { type Resource, valueOf } from "../api/archive";
import { askJson } from "../api/client";
import type { ArchiveEvent } from "../api/events";
import { summaryOf } from "../events/summary";
import { personName } from "../parts/values";
import { subject } from "./subject";

const GATHERED_MS = 300;
const MOST_AT_ONCE = 100;
const KEPT = 1_000;

/** A study is known by its patient, too. */
function nameOf(resource: Resource): string {
  const patient = resource.Type === "Study" ? personName(valueOf(resource, "PatientName")) : "";
  return [patient, subject([resource])].filter(Boolean).join(" · ");
}

class Names {
  private known: Map<string, string> = $state.raw(new Map());
  private wanted = new Set<string>();
  private asked = new Set<string>();
  private timer: ReturnType<typeof setTimeout> | null = null;

  of(id: string): string | undefined {
    return this.known.get(id);
  }

  want(id: string): void {
    if (this.isKnown(id) || this.wanted.size >= MOST_AT_ONCE) return;
    this.wanted.add(id);
    this.timer ??= setTimeout(() => void this.ask(), GATHERED_MS);
  }

  /** Whoever wants a name asks once, and not again when others become known. */
  private isKnown(id: string): boolean {
    return untrack(() => this.known.has(id));
  }

  /** What is gone is called as it was when it came, which the log knows. */
  async wantGone(path: string, id: string): Promise<void> {
    if (this.isKnown(id) || this.asked.has(id)) return;
    this.asked.add(id);
    const [created] = await askJson<ArchiveEvent[]>(`${path}/history`).catch(() => []);
    this.asked.delete(id);
    this.know([[id, created === undefined ? "" : summaryOf(created)]]);
  }

  private know(told: (readonly [string, string])[]): void {
    this.known = new Map([...this.known, ...told].slice(-KEPT));
  }

  private async ask(): Promise<void> {
    const ids = [...this.wanted];
    this.wanted.clear();
    this.timer = null;
    const body = { Resources: ids, Metadata: false };
    const found = await askJson<Resource[]>("/tools/bulk-content", { method: "POST", body }).catch(() => []);
    const names = new Map(found.map((resource) => [resource.ID, nameOf(resource)]));
    this.know(ids.map((id) => [id, names.get(id) ?? ""]));
  }
}

export const names = new Names();
