/** What is measured while the view is open. */

import { getMetrics, getStatistics } from "../api/system";
import { parseMetrics, total } from "./prometheus";

export interface Measure {
  at: number;
  /** Counters since the server's start; null: it does not tell. */
  stored: number | null;
  receivedBytes: number | null;
  instances: number;
  studies: number;
  series: number;
  patients: number;
  storedBytes: number;
  freeBytes: number | null;
  upSeconds: number | null;
  /** What goes on, and what waits; empty where the server does not tell. */
  present: Partial<Record<Present, number>>;
}

/** What goes on just now -> its metric. */
const PRESENT = {
  associations: "sinogram_associations",
  requests: "orthanc_rest_api_active_requests",
  listeners: "sinogram_event_listeners",
  commands: "sinogram_commands_waiting",
  jobsRunning: "orthanc_jobs_running",
  jobsPending: "orthanc_jobs_pending",
  callbacks: "sinogram_callbacks_waiting",
  lag: "sinogram_cursor_lag_events",
  codecs: "sinogram_codec_processes",
} as const;
export type Present = keyof typeof PRESENT;

const MIB = 1 << 20;

/** Return a measure by the metrics; undefined where they are off. */
export function ofMetrics(text: string, at: number): Measure | undefined {
  const metrics = parseMetrics(text);
  const of = (name: string, labels?: Record<string, string>) => total(metrics, name, labels);
  const instances = of("orthanc_count_instances");
  if (instances === null) return undefined;
  return {
    at,
    stored: of("sinogram_instances_received_total", { result: "Success" }) ?? 0,
    receivedBytes: of("sinogram_received_bytes_total") ?? 0,
    instances,
    studies: of("orthanc_count_studies") ?? 0,
    series: of("orthanc_count_series") ?? 0,
    patients: of("orthanc_count_patients") ?? 0,
    storedBytes: Math.round((of("orthanc_disk_size_mb") ?? 0) * MIB),
    freeBytes: of("sinogram_free_bytes", { folder: "storage" }),
    upSeconds: of("orthanc_up_time_s"),
    present: Object.fromEntries(
      Object.entries(PRESENT).flatMap(([name, metric]) => {
        const value = of(metric);
        return value === null ? [] : [[name, value]];
      }),
    ),
  };
}

export async function measure(): Promise<Measure> {
  const found = ofMetrics(await getMetrics(), Date.now());
  if (found !== undefined) return found;
  const told = await getStatistics(); // metrics are off
  return {
    at: Date.now(),
    stored: null,
    receivedBytes: null,
    instances: told.CountInstances,
    studies: told.CountStudies,
    series: told.CountSeries,
    patients: told.CountPatients,
    storedBytes: Number(told.TotalDiskSize),
    freeBytes: null,
    upSeconds: null,
    present: {},
  };
}

/** Call a task now and again until the returned function is called; not while the tab is hidden, nor before the last call has ended. */
export function repeat(task: () => Promise<void>, everyMs: number): () => void {
  let isBusy = false;
  const call = () => {
    if (isBusy || document.visibilityState === "hidden") return;
    isBusy = true;
    void task().finally(() => (isBusy = false));
  };
  call();
  const timer = setInterval(call, everyMs);
  return () => clearInterval(timer);
}
