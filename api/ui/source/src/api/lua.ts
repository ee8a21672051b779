/** Lua scripts: how they fare, and the console. */

import { ask, askJson } from "./client";
import type { ArchiveEvent } from "./events";

export interface CallTimes {
  Count: number;
  Failed: number;
  Seconds: number;
  LongestSeconds: number;
}

export interface Interpreter {
  Callbacks: string[];
  Calls: Record<string, CallTimes>;
  MemoryBytes: number;
  Running: { Callback: string; Seconds: number } | null;
}

export interface CallbackFailure {
  Seq: number;
  Date: string;
  Callback: string;
  Event: number | null;
  Attempt: number;
  RetrySeconds: number | null;
  Cause: string;
  Message: string | null;
  Script: string | null;
  Line: number | null;
  EventTag: string | null;
  Resource: ArchiveEvent["Resource"];
}

export interface LuaStatus {
  Scripts: string[];
  ExecuteLuaEnabled: boolean;
  Interpreters: Record<string, Interpreter>;
  Events: {
    Cursor: number | null;
    Last: number;
    Lag: number | null;
    Waiting: number;
    Failed: number;
    Recovered: number;
    Skipped: number;
  };
  LastFailures: CallbackFailure[];
}

export const getLuaStatus = (): Promise<LuaStatus> => askJson("/lua/status");

/** Run a piece of Lua in the main interpreter; returns what it has printed. */
export const execute = async (source: string): Promise<string> =>
  (await ask("/tools/execute-script", { method: "POST", body: source })).text();

// -- dry replay: what scripts would have done for past events --

export interface Call {
  /** null: a script was loaded, whose name `Resource` is. */
  Callback: string | null;
  Event: number | null;
  Date: string | null;
  Resource: string | null;
  /** Of what is gone since, only the main tags were left to tell the script. */
  Partial: boolean;
  Effects: { Kind: string; Text: string }[];
  LeftOut: number;
  Error: { Cause: string; Message: string; Script: string | null; Line: number | null } | null;
  Seconds: number;
}

export interface Running {
  Callback: string;
  Event: number | null;
  Seconds: number;
}

export interface Place {
  Position: number;
  Events: number;
  Calls: Record<string, number>;
  Effects: Record<string, number>;
  Failed: number;
}

/** A line of the answer: which of these it is, its members say. */
export type ReplayLine =
  | { Since: number; Until: number }
  | Call
  | { Running: Running }
  | Place
  | ({ Done: boolean; Message: string | null } & Partial<Place>);

export interface ReplayRequest {
  /** Without them, those of the configuration. */
  Scripts?: { Name: string; Source: string }[];
  Last?: number;
  Since?: number;
  Until?: number;
  From?: string;
  To?: string;
}

/** Takes text as it comes, and gives the lines that are whole. */
export class LineReader {
  private rest = "";

  take(text: string): string[] {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop() ?? "";
    return lines.filter((line) => line.trim() !== "");
  }
}

export type Replays = (request: ReplayRequest, signal: AbortSignal) => AsyncGenerator<ReplayLine>;

/** Have scripts tried on past events; nothing is done, and the server stops once the signal is given. */
export const replay: Replays = async function* (request, signal) {
  const answer = await ask("/lua/replay", { method: "POST", body: request, signal });
  const pieces = answer.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (pieces === undefined) return;
  const reader = new LineReader();
  for (let piece = await pieces.read(); !piece.done; piece = await pieces.read())
    for (const line of reader.take(piece.value)) yield JSON.parse(line) as ReplayLine;
};
