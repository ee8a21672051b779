/** Uploads, some files at a time, which go on while other views are shown. */

import { describeStudies } from "../api/archive";
import { Batch, type Describe, type Item } from "./batch.svelte";
import { post, type Send } from "./post";

/** Browsers open six connections to a server: some are left for the page. */
export const AT_ONCE = 4;
const MOST_SERIES = 20; // of a study, whose modalities are told

const describe: Describe = async (arrived) => {
  const found = await describeStudies(
    arrived.map(({ study }) => study),
    arrived.flatMap(({ series }) => [...series].slice(0, MOST_SERIES)),
  );
  return arrived.map((one) => ({
    ...one,
    resource: found.studies.get(one.study) ?? null,
    modalities: [...(found.modalities.get(one.study) ?? [])],
  }));
};

export class Queue {
  /** The newest first. */
  batches: Batch[] = $state.raw([]);
  private sending = 0;

  constructor(
    private readonly send: Send = post,
    private readonly describing: Describe = describe,
  ) {}

  /** Begin an upload. */
  open(): Batch {
    const made = new Batch(this.batches.length + 1, () => this.fill(), this.describing);
    this.batches = [made, ...this.batches];
    return made;
  }

  private fill(): void {
    while (this.sending < AT_ONCE) {
      const batch = [...this.batches].reverse().find(({ hasWaiting }) => hasWaiting);
      const next = batch?.take();
      if (batch === undefined || !next) break;
      void this.run(batch, ...next);
    }
  }

  private async run(batch: Batch, item: Item, file: File, signal: AbortSignal): Promise<void> {
    this.sending += 1;
    try {
      batch.end(item, await this.send(item.name, file, (sent) => batch.progress(item, sent), signal));
    } catch (error) {
      batch.end(item, error instanceof Error ? error : new Error(String(error)));
    } finally {
      this.sending -= 1;
      this.fill();
    }
  }
}

export const queue = new Queue();
