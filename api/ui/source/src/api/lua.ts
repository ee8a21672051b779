/** Lua scripts: how they fare, and the console. */

import { ask, askJson } from "./client";

export interface Interpreter {
  Callbacks: string[];
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
  Message: string;
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
