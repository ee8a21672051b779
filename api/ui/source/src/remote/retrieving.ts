/** Fetch studies or series from a remote, as jobs that are told of as one matter. */

import type { Started } from "../api/jobs";
import { type Found, retrieve } from "../api/queries";
import type { Remote } from "../api/remotes";
import { t } from "../i18n/index.svelte";
import { notices } from "../parts/notices.svelte";
import { wordsOf } from "../parts/tell";
import { running } from "../work/running.svelte";

export async function retrieveAll(
  remote: Remote,
  found: Found,
  numbers: number[],
  oncome: () => void,
): Promise<Started[]> {
  const started: Started[] = [];
  try {
    for (const number of numbers) started.push(await retrieve(remote, found, number));
  } catch (error) {
    notices.tell(wordsOf(error), true); // what has begun goes on
  }
  const values = { count: started.length, name: remote.name };
  running.watch(started, {
    doing: t("remote.retrieving", values),
    done: () => ({ text: t("remote.retrieved", values), link: { path: "/", text: t("nav.archive") } }),
    then: oncome,
  });
  return started;
}
