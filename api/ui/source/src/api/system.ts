/** What the server tells of itself: `/system`, `/statistics`, metrics, damaged files, levels of logs; and its stop and start. */

import { ask, askJson } from "./client";

/** Fields of `/system` that the page names; all others are shown as they are. */
export interface System extends Record<string, unknown> {
  Name: string;
  Version: string;
  SinogramVersion: string;
  DicomAet: string;
  DicomPort: number;
  HttpPort: number;
  ReadOnly: boolean;
  OverwriteInstances: boolean;
  MaximumStorageSize: number;
  MaximumPatientCount: number;
  MaximumStorageMode: string;
}

export interface Statistics {
  CountPatients: number;
  CountStudies: number;
  CountSeries: number;
  CountInstances: number;
  TotalDiskSize: string;
}

export interface DamagedFile {
  ID: string;
  Type: "Patient" | "Study" | "Series" | "Instance";
  Attachment: string;
  File: string;
  Damage: string;
  Date: string;
}

export interface StorageStatus {
  CountDamaged: number;
  Damaged: DamagedFile[];
  Done: boolean;
  Last: number;
}

/** Events of the log in each of some steps of time. */
export interface Rates {
  Counts: number[];
  SinceMicroseconds: number;
  StepMicroseconds: number;
}

export const getSystem = (): Promise<System> => askJson("/system");
export const getPlugins = (): Promise<string[]> => askJson("/plugins");
export interface Plugin {
  ID: string;
  Version: string;
  Description: string;
}

/** What is built in; the script that every Explorer asks for is none of it. */
export const describePlugins = (names: string[]): Promise<Plugin[]> =>
  Promise.all(names.filter((name) => name !== "explorer.js").map((name) => askJson<Plugin>(`/plugins/${name}`)));

export const getStatistics = (): Promise<Statistics> => askJson("/statistics");
export const getStorageStatus = (since = 0): Promise<StorageStatus> => askJson(`/storage/status?since=${since}`);
export const getRates = (seconds: number, steps: number): Promise<Rates> =>
  askJson(`/events/rates?seconds=${seconds}&steps=${steps}`);

/** The metrics as text; empty where `MetricsEnabled` is off. */
export const getMetrics = async (): Promise<string> => (await ask("/tools/metrics-prometheus")).text();

export const CATEGORIES = ["generic", "plugins", "http", "sqlite", "dicom", "jobs", "lua"] as const;
export const LEVELS = ["default", "verbose", "trace"] as const;
export type Category = (typeof CATEGORIES)[number];
export type LogLevel = (typeof LEVELS)[number];

export async function getLogLevels(): Promise<Record<Category, LogLevel>> {
  const told = await Promise.all(
    CATEGORIES.map(async (category) => (await ask(`/tools/log-level-${category}`)).text() as Promise<LogLevel>),
  );
  return Object.fromEntries(CATEGORIES.map((category, place) => [category, told[place]])) as Record<Category, LogLevel>;
}

/** Change the level of one category, or of all. */
export async function setLogLevel(level: LogLevel, category?: Category): Promise<void> {
  await ask(category ? `/tools/log-level-${category}` : "/tools/log-level", { method: "PUT", body: level });
}

export async function control(action: "reset" | "shutdown"): Promise<void> {
  await ask(`/tools/${action}`, { method: "POST", body: "" });
}

/** An entry of the worklist. */
export interface Worklist {
  ID: string;
  CreationTime?: string;
  Tags?: Record<string, unknown>;
}

export const listWorklists = (): Promise<Worklist[]> => askJson("/worklists?format=Simplify");
