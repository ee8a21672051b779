/** Jobs, as `/jobs` shows them. */

import { ask, askJson } from "./client";

export type JobState = "Pending" | "Running" | "Paused" | "Retry" | "Success" | "Failure";

export interface Job {
  ID: string;
  Type: string;
  State: JobState;
  Progress: number;
  Priority: number;
  CreationTime: string;
  CompletionTime?: string;
  EstimatedTimeOfArrival?: string;
  /** When this was told, by the server's clock. */
  Timestamp: string;
  EffectiveRuntime: number;
  ErrorCode: number;
  ErrorDescription: string;
  ErrorDetails: string;
  Content: Record<string, unknown>;
  Resources?: string[];
}

/** A job that the server has taken on. */
export interface Started {
  ID: string;
}

/** What tells that a job has moved. */
export const JOB_EVENTS = [
  "job-submitted", "job-started", "job-step-finished", "job-output-added", "job-output-dropped", "job-interrupted", "job-paused",
  "job-resumed", "job-cancelled", "job-resubmitted", "job-forgotten", "job-retry-scheduled", "job-succeeded", "job-failed",
]; // prettier-ignore

export type Action = "pause" | "resume" | "cancel" | "resubmit";

/** What can be asked of a job in each state (docs/jobs.md). */
export const ACTIONS: Record<JobState, Action[]> = {
  Pending: ["pause", "cancel"],
  Running: ["pause", "cancel"],
  Retry: ["pause", "cancel"],
  Paused: ["resume", "cancel"],
  Success: [],
  Failure: ["resubmit"],
};

export async function listJobs(signal?: AbortSignal): Promise<Job[]> {
  const jobs = await askJson<Job[]>("/jobs?expand", { signal });
  return jobs.sort((one, other) => other.CreationTime.localeCompare(one.CreationTime));
}

/** So many jobs that have not ended are told of: nobody counts more. */
const MOST_UNFINISHED = 200;

export async function listUnfinished(): Promise<Job[]> {
  return askJson<Job[]>(`/jobs?expand&state=Pending;Running;Retry&order=-created&since=0&limit=${MOST_UNFINISHED}`);
}

export async function getJob(id: string): Promise<Job> {
  return askJson<Job>(`/jobs/${id}`);
}

export async function act(id: string, action: Action): Promise<void> {
  await ask(`/jobs/${id}/${action}`, { method: "POST", body: "" });
}

export async function forget(id: string): Promise<void> {
  await ask(`/jobs/${id}`, { method: "DELETE" });
}

/** `20260131T101112.131415`, UTC, as a moment. */
export function moment(text: string): Date {
  const [, year, month, date, hour, minute, second] = /^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})/.exec(text) ?? [];
  return new Date(
    Date.UTC(Number(year), Number(month) - 1, Number(date), Number(hour), Number(minute), Number(second)),
  );
}
