/** Storage commitment: a modality is asked whether it keeps instances, and reports that later. */

import { ask, askJson } from "./client";
import type { Job } from "./jobs";
import { path } from "./remotes";

export interface Reference {
  SOPClassUID: string;
  SOPInstanceUID: string;
}
export interface Refused extends Reference {
  Description: string;
  FailureReason: number;
}
export interface Report {
  RemoteAET: string;
  Status: "Pending" | "Success" | "Failure";
  /** Absent until the report has come. */
  Success?: Reference[];
  Failures?: Refused[];
}

/** Ask a modality; returns the transaction, by which its report is found. */
export async function askWhetherKept(modality: string, resources: string[]): Promise<string> {
  const asked = `${path({ kind: "modality", name: modality })}/storage-commitment`;
  return (await askJson<{ ID: string }>(asked, { method: "POST", body: { Resources: resources } })).ID;
}

export const getReport = (transaction: string): Promise<Report> =>
  askJson(`/storage-commitment/${encodeURIComponent(transaction)}`);

/** Delete here what the modality keeps. */
export async function removeKept(transaction: string): Promise<void> {
  await ask(`/storage-commitment/${encodeURIComponent(transaction)}/remove`, { method: "POST" });
}

/** Failures by their reason, those of most instances first. */
export function byReason(failures: Refused[]): { reason: string; uids: string[] }[] {
  const found = new Map<string, string[]>();
  for (const { Description, SOPInstanceUID } of failures)
    found.set(Description, [...(found.get(Description) ?? []), SOPInstanceUID]);
  return [...found].map(([reason, uids]) => ({ reason, uids })).sort((a, b) => b.uids.length - a.uids.length);
}

/** How the server begins to tell why a job has failed that has sent all, and could ask nobody then. */
const SENT = "Sending is done";

/** Whether a job has sent all there was, and has failed because the modality does not offer what it was asked for then. */
export const isSentOnly = ({ Content, ErrorDetails, State }: Job): boolean =>
  State === "Failure" && ErrorDetails.startsWith(SENT) && !Content.FailedInstancesCount;
