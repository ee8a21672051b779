/** Studies that somebody has chosen in the list. They stay chosen while the list is searched, sorted and scrolled. */

import { SvelteMap } from "svelte/reactivity";

import type { Resource } from "../api/archive";

/** What is done to more is the work of a program. */
export const MOST_CHOSEN = 1_000;

export class Chosen {
  readonly all = new SvelteMap<string, Resource>();
  private last: number | null = null;

  get resources(): Resource[] {
    return [...this.all.values()];
  }

  has(resource: Resource): boolean {
    return this.all.has(resource.ID);
  }

  toggle(resource: Resource, index: number): void {
    this.last = index;
    if (!this.all.delete(resource.ID)) this.add([resource]);
  }

  /** Choose all from the one that was last touched to another; `load` gives them. Returns false where that is more than may be. */
  async extend(index: number, load: (since: number, limit: number) => Promise<Resource[]>): Promise<boolean> {
    const from = Math.min(this.last ?? index, index);
    const count = Math.abs((this.last ?? index) - index) + 1;
    const isAll = this.add(await load(from, Math.min(count, MOST_CHOSEN)));
    return isAll && count <= MOST_CHOSEN;
  }

  add(resources: Resource[]): boolean {
    for (const each of resources) {
      if (this.all.size >= MOST_CHOSEN && !this.all.has(each.ID)) return false;
      this.all.set(each.ID, each);
    }
    return true;
  }

  clear(): void {
    this.last = null;
    this.all.clear();
  }
}
