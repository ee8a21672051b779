/** What a job is about, and how it fares, in words and numbers. */

import { isSentOnly } from "../api/commitment";
import { type Job, type JobState, moment } from "../api/jobs";
import { type Key, t } from "../i18n/index.svelte";

export const GOING: JobState[] = ["Running", "Pending", "Retry", "Paused"];
export const isGoing = (job: Job): boolean => GOING.includes(job.State);

/** The type in words; one that is not known here, such as that of a script, by its own name. */
export function typeName(type: string): string {
  const words = t(`jobs.type.${type}` as Key);
  return words === `jobs.type.${type}` ? type : words;
}

/** Where it sends to or fetches from; empty where it does neither. */
function otherSide({ Content }: Job): string {
  const { RemoteAet, Server, Peer } = Content;
  if (Array.isArray(Peer)) return String(Peer[0] ?? "");
  return [Server, RemoteAet].find((each): each is string => typeof each === "string") ?? "";
}

const ANONYMIZES = "Anonymization";

/** Types as people tell them apart: one of the server's does two things. */
export const typeOf = (job: Job): string => (job.Content.IsAnonymization === true ? ANONYMIZES : job.Type);

export function titleOf(job: Job): string {
  const name = otherSide(job);
  return name === "" ? typeName(typeOf(job)) : t("jobs.with", { type: typeName(typeOf(job)), name });
}

export const countOf = ({ Content }: Job): number => Number(Content.InstancesCount ?? 0) || 0;

const FILE_MAKERS = ["Archive", "Media"];

/** Where the file is that a job has made; null where it has made none. */
export const fileOf = ({ ID, State, Type }: Job): string | null =>
  State === "Success" && FILE_MAKERS.includes(Type) ? `/jobs/${ID}/archive` : null;

export function errorOf(job: Job): string {
  if (isSentOnly(job)) return job.ErrorDetails; // the code would say that sending has failed
  return job.ErrorCode === 0 ? "" : [job.ErrorDescription, job.ErrorDetails].filter(Boolean).join(": ");
}

export interface Figures {
  /** For how long it has run. */
  runtime_s: number;
  left_s: number | null;
  /** Instances in a second; null where that says nothing. */
  rate: number | null;
}

const SHORTEST_S = 0.5; // what took less has no rate worth telling

/** `age_s`: how long ago the server has told of the job. */
export function figuresOf(job: Job, age_s = 0): Figures {
  const isRunning = job.State === "Running";
  const runtime_s = job.EffectiveRuntime + (isRunning ? age_s : 0);
  const left_s =
    isRunning && job.EstimatedTimeOfArrival
      ? Math.max(0, (moment(job.EstimatedTimeOfArrival).getTime() - moment(job.Timestamp).getTime()) / 1000 - age_s)
      : null;
  const done = (countOf(job) * job.Progress) / 100;
  return {
    runtime_s,
    left_s,
    rate: done > 0 && job.EffectiveRuntime >= SHORTEST_S ? done / job.EffectiveRuntime : null,
  };
}
