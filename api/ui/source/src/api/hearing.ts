/** What is shown is made anew when something has happened: soon, but with thousands of events a second only now and then. */

import { feed, type Feed } from "./feed";

interface Manner {
  /** Shortest time between two looks. */
  atLeast_ms?: number;
  connected?: (isConnected: boolean) => void;
  of?: Pick<Feed, "follow">;
}

const SOON_MS = 200;
/** What takes long to make is made less often. */
const RESTS = 5;

/** Call `look` some time after events of these types, until the returned function is called. */
export function hear(types: string[], look: () => Promise<void>, manner: Manner = {}): () => void {
  const { atLeast_ms = 2_000, connected, of = feed } = manner;
  let timer: ReturnType<typeof setTimeout> | null = null;
  let restUntil = 0;
  let isOver = false;
  let isLate = false; // something happened while it was being made

  async function run(): Promise<void> {
    isLate = false;
    const began = performance.now();
    try {
      await look();
    } finally {
      restUntil = performance.now() + Math.max(atLeast_ms, (performance.now() - began) * RESTS);
      timer = null;
      if (isLate) later();
    }
  }

  function later(): void {
    isLate = true;
    if (isOver || timer !== null) return;
    timer = setTimeout(() => void run(), Math.max(Math.min(SOON_MS, atLeast_ms), restUntil - performance.now()));
  }

  // What has happened since it was made and before the feed began is not told.
  let hasBegun = false;
  function begun(isConnected: boolean): void {
    if (isConnected && !hasBegun) later();
    hasBegun ||= isConnected;
    connected?.(isConnected);
  }

  const stop = of.follow({ types }, { heard: later, missed: later, connected: begun });
  return () => {
    isOver = true;
    stop();
    if (timer !== null) clearTimeout(timer);
  };
}
