/** News of the archive for a list of studies: with many senders they come all the time, and the list is asked for again only now and then. */

import { feed, type Feed } from "../api/feed";

const TYPES = [
  "study-created", "series-created", "resource-stabilized", "resource-deleted", "label-added", "label-removed", "tags-reconstructed",
]; // prettier-ignore
const AT_LEAST_MS = 2_000;
/** A list that takes long to make is made less often. */
const RESTS = 5;

/** Call `look` some time after something has happened, until the returned function is called. */
export function hearNews(
  look: () => Promise<void>,
  connected: (isConnected: boolean) => void,
  of: Feed = feed,
): () => void {
  let timer: ReturnType<typeof setTimeout> | null = null;
  let restUntil = 0;
  let isOver = false;
  let isLate = false; // something happened while the list was being made

  async function run(): Promise<void> {
    isLate = false;
    const began = performance.now();
    try {
      await look();
    } finally {
      restUntil = performance.now() + Math.max(AT_LEAST_MS, (performance.now() - began) * RESTS);
      timer = null;
      if (isLate) later();
    }
  }

  function later(): void {
    isLate = true;
    if (isOver || timer !== null) return;
    timer = setTimeout(() => void run(), Math.max(200, restUntil - performance.now()));
  }

  const stop = of.follow({ types: TYPES }, { heard: later, missed: later, connected });
  return () => {
    isOver = true;
    stop();
    if (timer !== null) clearTimeout(timer);
  };
}
