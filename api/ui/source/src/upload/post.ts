/** One file on its way to the server, and what the server makes of it. */

import { PAGE_HEADER } from "../api/client";
import { session } from "../api/session.svelte";
import { type Kind, look } from "./kinds";

/** What is stored of a file, as `POST /instances` answers. */
export interface Stored {
  ID: string;
  ParentStudy: string;
  ParentSeries: string;
  Status: "Success" | "AlreadyStored";
}

/** What is not, though nothing has failed: a file, or a member of a ZIP. */
export interface Left {
  name: string;
  /** "filtered": a script of the server has not taken it. */
  kind: Kind | "filtered";
  reason: string;
  count: number;
}

export interface Outcome {
  stored: Stored[];
  left: Left[];
}

/** A file has not got there. */
export class Refused extends Error {
  constructor(
    message: string,
    /** Whether it may help to send it again. */
    readonly isPassing: boolean,
  ) {
    super(message);
  }
}

interface Skipped {
  Status: "Skipped";
  Name: string;
  Kind: Kind;
  Reason: string;
}
type Told = Stored | Skipped | (Omit<Stored, "Status"> & { Status: "FilteredOut" });

/** What Orthanc calls what cannot be read as DICOM, and what lacks an identifier. */
const UNREADABLE = new Set([15, 21]);
/** Statuses of what may be well later: a session that has ended, a slow connection, a server that is busy, full or fails. */
const isPassing = (status: number): boolean => [401, 408, 425, 429].includes(status) || status >= 500;

export function outcomeOf(name: string, answer: Told | Told[]): Outcome {
  const told = Array.isArray(answer) ? answer : [answer];
  const stored = told.filter((one): one is Stored => one.Status === "Success" || one.Status === "AlreadyStored");
  const skipped = told.filter((one): one is Skipped => one.Status === "Skipped");
  const filtered = told.length - stored.length - skipped.length;
  const left: Left[] = skipped.map(({ Name, Kind, Reason }) => ({
    name: `${name} › ${Name}`,
    kind: Kind,
    reason: Reason,
    count: 1,
  }));
  // Programs are ZIPs, too: a hundred names of what is in one tell nobody anything.
  const isStrange = stored.length + filtered === 0 && left.every(({ kind }) => kind === "other");
  if (isStrange) left.splice(0, left.length, { name, kind: "other", reason: "", count: 1 });
  if (filtered > 0) left.push({ name, kind: "filtered", reason: "", count: filtered });
  return { stored, left };
}

async function refusal(name: string, file: File, status: number, text: string): Promise<Outcome> {
  let told: { Message?: string; Details?: string; OrthancStatus?: number } = {};
  try {
    told = JSON.parse(text) as typeof told;
  } catch {
    // Some answers have no body, and what stands before a server answers otherwise.
  }
  const reason = told.Details ?? told.Message ?? `HTTP ${status}`;
  if (!UNREADABLE.has(told.OrthancStatus ?? 0)) throw new Refused(reason, isPassing(status));
  return { stored: [], left: [{ name, kind: await look(name, file), reason, count: 1 }] };
}

export type Send = (
  name: string,
  file: File,
  onprogress: (sent: number) => void,
  signal: AbortSignal,
) => Promise<Outcome>;

/** Send one file; XMLHttpRequest tells how far an upload has come, fetch does not. */
export const post: Send = (name, file, onprogress, signal) =>
  new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/instances?tell-skipped");
    for (const [header, value] of Object.entries(PAGE_HEADER)) request.setRequestHeader(header, value);
    request.upload.onprogress = (event) => onprogress(event.loaded);
    request.onload = () => {
      const { status, responseText } = request;
      if (status === 401) session.now = null;
      const answer =
        status === 200
          ? Promise.resolve(responseText).then((text) => outcomeOf(name, JSON.parse(text) as Told | Told[]))
          : refusal(name, file, status, responseText);
      answer.then(resolve, reject);
    };
    request.onerror = () => reject(new Refused("The connection broke", true));
    request.onabort = () => reject(new DOMException("stopped", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
