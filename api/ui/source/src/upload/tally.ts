/** Which studies have come with an upload, counted from the server's answers. */

import type { Stored } from "./post";

export interface Arrived {
  study: string;
  series: Set<string>;
  instances: Set<string>;
  /** How many of the instances were there before. */
  known: number;
}

export class Tally {
  private readonly studies = new Map<string, Arrived>();

  get count(): number {
    return this.studies.size;
  }

  add({ ID, ParentStudy, ParentSeries, Status }: Stored): void {
    const found = this.studies.get(ParentStudy) ?? {
      study: ParentStudy,
      series: new Set(),
      instances: new Set(),
      known: 0,
    };
    this.studies.set(ParentStudy, found);
    if (Status === "AlreadyStored" && !found.instances.has(ID)) found.known += 1;
    found.series.add(ParentSeries);
    found.instances.add(ID);
  }

  first(most: number): Arrived[] {
    return [...this.studies.values()].slice(0, most);
  }
}
