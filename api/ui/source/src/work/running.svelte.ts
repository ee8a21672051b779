/**
 * Jobs that go on, for the navigation's count and for notices of what the page itself has begun.
 *
 * They are asked for now and then, and not heard of by a stream: a browser opens six connections to a server, uploads use four of
 * them, and a view that shows a feed has one.
 */

import { RequestFailed } from "../api/client";
import { getJob, type Job, listUnfinished } from "../api/jobs";
import type { Started } from "../api/remotes";
import { t } from "../i18n/index.svelte";
import { type Notice, notices } from "../parts/notices.svelte";
import { wordsOf } from "../parts/tell";

/** Short jobs are seen to end soon; long ones are asked for less and less often. */
const FIRST_MS = 300;
const SLOWER = 1.3;
const BUSY_MS = 2_000;
const IDLE_MS = 15_000;

export interface Words {
  /** While it goes on, such as "Sending to PACS". */
  doing: string;
  done: (jobs: Job[]) => { text: string; link?: Notice["link"] };
  /** Called once all has ended well. */
  then?: (jobs: Job[]) => void;
}

interface Watched {
  notice: number;
  words: Words;
  /** Of each job how far it is, and itself once it has ended. */
  progress: Map<string, number>;
  ended: Job[];
}

export class Running {
  jobs: Job[] = $state.raw([]);

  private watched: Watched[] = [];
  private timer: ReturnType<typeof setTimeout> | null = null;
  private isFollowed = false;
  private isAsking = false;
  private wait_ms = FIRST_MS;

  constructor(
    private readonly list = listUnfinished,
    private readonly get = getJob,
  ) {}

  /** Tell of jobs that the page has begun, as one matter, until they have ended. */
  watch(started: Started[], words: Words): void {
    const [first] = started;
    if (first === undefined) return;
    const notice = notices.begin(words.doing, linkTo(started.length === 1 ? first.ID : null));
    this.watched.push({ notice, words, progress: new Map(started.map(({ ID }) => [ID, 0])), ended: [] });
    this.wait_ms = FIRST_MS;
    void this.look();
  }

  /** Keep `jobs` true until the returned function is called. There are no questions while the tab is hidden. */
  follow(): () => void {
    const look = () => {
      if (document.visibilityState === "visible") void this.look();
      else this.rest();
    };
    this.isFollowed = true;
    document.addEventListener("visibilitychange", look);
    look();
    return () => {
      this.isFollowed = false;
      document.removeEventListener("visibilitychange", look);
      this.rest();
    };
  }

  async look(): Promise<void> {
    if (this.isAsking) return;
    this.isAsking = true;
    this.rest();
    try {
      this.jobs = await this.list();
      for (const each of [...this.watched]) await this.update(each);
    } catch {
      // Whoever asks for more is told why the server does not answer; this is asked again.
    } finally {
      this.isAsking = false;
      const isBusy = this.jobs.length > 0 || this.watched.length > 0;
      this.wait_ms = Math.min(this.wait_ms * SLOWER, BUSY_MS);
      if (this.isFollowed && document.visibilityState === "visible")
        this.timer = setTimeout(() => void this.look(), isBusy ? this.wait_ms : IDLE_MS);
    }
  }

  private rest(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  private async update(each: Watched): Promise<void> {
    try {
      await this.tell(each);
    } catch (error) {
      if (!(error instanceof RequestFailed && error.status === 404)) throw error;
      this.forget(each); // somebody has removed the job from the list
      notices.drop(each.notice);
    }
  }

  private forget(each: Watched): void {
    this.watched = this.watched.filter((one) => one !== each);
  }

  private async tell(each: Watched): Promise<void> {
    const { notice, progress, words } = each;
    const going = new Map(this.jobs.map((job) => [job.ID, job]));
    for (const id of progress.keys()) {
      if (each.ended.some((job) => job.ID === id)) continue;
      const job = going.get(id) ?? (await this.get(id));
      progress.set(id, job.Progress);
      if (job.State === "Success" || job.State === "Failure") each.ended.push(job);
    }
    notices.progress(notice, [...progress.values()].reduce((sum, one) => sum + one, 0) / progress.size);
    if (each.ended.length < progress.size) return;
    this.forget(each);
    const failed = each.ended.filter((job) => job.State === "Failure");
    const [first] = failed;
    if (first !== undefined) {
      const reason = [first.ErrorDescription, first.ErrorDetails].filter(Boolean).join(": ");
      const count = progress.size > 1 ? ` (${t("work.failedOf", { count: failed.length, all: progress.size })})` : "";
      notices.end(notice, `${words.doing}${count}: ${reason}`, true, linkTo(first.ID));
      return;
    }
    const { text, link } = words.done(each.ended);
    notices.end(notice, text, false, link ?? linkTo(each.ended.length === 1 ? (each.ended[0]?.ID ?? null) : null));
    words.then?.(each.ended);
  }
}

const linkTo = (job: string | null): NonNullable<Notice["link"]> => ({
  path: job === null ? "/jobs" : `/jobs?job=${job}`,
  text: t(job === null ? "nav.jobs" : "work.job"),
});

export const running = new Running();

/** Begin something that is told as it goes on; returns why it could not begin, null where it has. */
export async function begin(start: () => Promise<Started[]>, words: Words): Promise<string | null> {
  try {
    running.watch(await start(), words);
    return null;
  } catch (error) {
    return wordsOf(error);
  }
}
