/** What a job that changes resources has made, as a notice with the way there. */

import { type Level, PATHS, type Resource } from "../api/archive";
import type { Job } from "../api/jobs";
import { t } from "../i18n/index.svelte";
import type { Notice } from "../parts/notices.svelte";
import { router } from "../router.svelte";

interface Made {
  ID: string;
  Type: Level;
}

const isMade = (value: unknown): value is Made =>
  typeof value === "object" && value !== null && "ID" in value && "Type" in value && (value.Type as string) in PATHS;

/** The one resource that a job has made, null where it made many or none. */
export function madeBy(job: Job): Made | null {
  const { Content } = job;
  if (isMade(Content)) return Content;
  const studies = (Array.isArray(Content.Resources) ? Content.Resources : []).filter(isMade);
  for (const level of ["Study", "Series", "Instance"] as const) {
    const those = studies.filter(({ Type }) => Type === level);
    if (those.length === 1 && those[0] !== undefined) return those[0];
    if (those.length > 1) return null;
  }
  return null;
}

export function resultOf(jobs: Job[], text: string): { text: string; link?: Notice["link"] } {
  const made = jobs[0] ? madeBy(jobs[0]) : null;
  return made === null ? { text } : { text, link: { path: `/${PATHS[made.Type]}/${made.ID}`, text: t("work.open") } };
}

/** Show what has become of resources: where they are gone, their page makes room for that of what was made of them. */
export function showResult(resources: Resource[], jobs: Job[], keepsSource: boolean, onchange: () => void): void {
  const [first] = resources;
  const isShown = resources.length === 1 && first && router.path === `/${PATHS[first.Type]}/${first.ID}`;
  if (keepsSource || !isShown) onchange();
  else router.go(resultOf(jobs, "").link?.path ?? "/", true);
}
