/** What can wait until the page is drawn. */

const AT_LATEST_MS = 1_000;

/** Begin something once the browser has nothing else to do; the returned function calls it off, or ends it with what `begin` has returned. */
export function whenIdle(begin: () => (() => void) | undefined): () => void {
  let end: (() => void) | undefined;
  const run = (): void => {
    end = begin();
  };
  const canTell = "requestIdleCallback" in window; // Safari cannot
  const plan = canTell ? requestIdleCallback(run, { timeout: AT_LATEST_MS }) : window.setTimeout(run, AT_LATEST_MS / 2);
  return () => {
    if (canTell) cancelIdleCallback(plan);
    else clearTimeout(plan);
    end?.();
  };
}
