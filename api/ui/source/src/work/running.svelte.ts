/**
 * Jobs that go on, for the navigation's count and for notices of what the page itself has begun.
 *
 * The feed that all views share tells when one has moved; then those that have not ended are asked for. Where there is no feed, as
 * while as many listen as may, they are asked for now and then.
 */

import { RequestFailed } from "../api/client";
import { feed, type Feed } from "../api/feed";
import { hear } from "../api/hearing";
import { getJob, type Job, JOB_EVENTS, listUnfinished, type Started } from "../api/jobs";
import { session } from "../api/session.svelte";
import { t } from "../i18n/index.svelte";
import { type Notice, notices } from "../parts/notices.svelte";
import { wordsOf } from "../parts/tell";

const AT_LEAST_MS = 400;
const WITHOUT_FEED_MS = 5_000;
/** Those that were begun here are known by this many, also after the page was loaded again. */
const MOST_BEGUN = 200;
const BEGUN = "sinogram-jobs";

export interface Words {
  /** While it goes on, such as "Sending to PACS". */
  doing: string;
  done: (jobs: Job[]) => { text: string; link?: Notice["link"] };
  /** What is told in place of an error, where that would mislead; null where it does not. */
  failed?: (jobs: Job[]) => string | null;
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
  /** As it has become since the page was loaded. */
  private kept: string[] | null = $state.raw(null);
  private watched: Watched[] = [];
  private isAsking = false;
  private isLate = false; // something happened while they were being asked for

  constructor(
    private readonly list = listUnfinished,
    private readonly get = getJob,
    private readonly of: Pick<Feed, "follow"> = feed,
  ) {}

  /** Jobs that who uses the page has begun in this browser, the latest last. */
  get begun(): string[] {
    return this.kept ?? readBegun();
  }

  /** Tell of jobs that the page has begun, as one matter, until they have ended. */
  watch(started: Started[], words: Words): void {
    const [first] = started;
    if (first === undefined) return;
    this.kept = [...readBegun(), ...started.map(({ ID }) => ID)].slice(-MOST_BEGUN); // another tab may have begun some
    localStorage.setItem(BEGUN, JSON.stringify({ User: session.now?.User ?? "", Jobs: this.kept }));
    const notice = notices.begin(words.doing, linkTo(started.length === 1 ? first.ID : null));
    this.watched.push({ notice, words, progress: new Map(started.map(({ ID }) => [ID, 0])), ended: [] });
    void this.look();
  }

  /** Keep `jobs` true until the returned function is called. */
  follow(): () => void {
    let timer: ReturnType<typeof setInterval> | null = null;
    const connected = (isConnected: boolean) => {
      if (timer !== null) clearInterval(timer);
      timer = isConnected
        ? null
        : setInterval(() => {
            if (document.visibilityState === "visible") void this.look();
          }, WITHOUT_FEED_MS);
      if (isConnected) void this.look(); // what has happened before
    };
    connected(false);
    const stop = hear(JOB_EVENTS, () => this.look(), { atLeast_ms: AT_LEAST_MS, connected, of: this.of });
    void this.look();
    return () => {
      stop();
      if (timer !== null) clearInterval(timer);
    };
  }

  async look(): Promise<void> {
    this.isLate = true;
    if (this.isAsking) return;
    this.isAsking = true;
    try {
      while (this.isLate) {
        this.isLate = false;
        this.jobs = await this.list();
        for (const each of [...this.watched]) await this.update(each);
      }
    } catch {
      // Whoever asks for more is told why the server does not answer; this is asked again once the feed is back.
    } finally {
      this.isAsking = false;
    }
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
      const text = words.failed?.(failed) ?? `${words.doing}${count}: ${reason}`;
      notices.end(notice, text, true, linkTo(first.ID));
      return;
    }
    const { text, link } = words.done(each.ended);
    if (link !== undefined) notices.endWith(notice, text, link);
    else notices.end(notice, text, false, linkTo(each.ended.length === 1 ? (each.ended[0]?.ID ?? null) : null));
    words.then?.(each.ended);
  }
}

/** Nothing where another user has begun them, or where what is kept cannot be read. */
function readBegun(): string[] {
  try {
    const { User, Jobs } = JSON.parse(localStorage.getItem(BEGUN) ?? "{}") as { User?: string; Jobs?: string[] };
    return User === (session.now?.User ?? "") && Array.isArray(Jobs) ? Jobs : [];
  } catch {
    return [];
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
