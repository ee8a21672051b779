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

/** The one resource of a level that a job has made, null where it made many or none. */
export function madeBy(job: Job, level: Level): Made | null {
  const { Content } = job;
  if (isMade(Content)) return Content;
  if (typeof Content.TargetStudy === "string") return { ID: Content.TargetStudy, Type: "Study" };
  // What lies above it is told as well, and is not always new.
  const made = (Array.isArray(Content.Resources) ? Content.Resources : []).filter(isMade);
  const [first, ...others] = made.filter(({ Type }) => Type === level);
  return first !== undefined && others.length === 0 ? first : null;
}

export function resultOf(jobs: Job[], resources: Resource[], text: string): { text: string; link?: Notice["link"] } {
  const made = jobs[0] ? madeBy(jobs[0], resources[0]?.Type ?? "Study") : null;
  return made === null ? { text } : { text, link: { path: `/${PATHS[made.Type]}/${made.ID}`, text: t("work.open") } };
}

/** Show what has become of resources: where they are gone, their page makes room for that of what was made of them. */
export function showResult(resources: Resource[], jobs: Job[], keepsSource: boolean, onchange: () => void): void {
  const [first] = resources;
  const isShown = resources.length === 1 && first && router.path === `/${PATHS[first.Type]}/${first.ID}`;
  if (keepsSource || !isShown) onchange();
  else router.go(resultOf(jobs, resources, "").link?.path ?? "/", true);
}
