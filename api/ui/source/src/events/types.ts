/** The types of events, by what they are about; a test of the server compares them with its own. */
export const FAMILIES = {
  resources: [
    "patient-created", "study-created", "series-created", "instance-stored", "instance-received-again", "series-completed",
    "resource-stabilized", "resource-unsettled", "resource-derived", "instance-reconstructed", "tags-reconstructed",
    "resource-exported",
  ],
  deletions: ["resource-deleted", "rows-purged"],
  marks: ["label-added", "label-removed", "metadata-set", "metadata-removed", "patient-protected", "patient-unprotected"],
  files: [
    "file-damaged", "file-recovered", "file-healed", "attachment-set", "attachment-made", "attachment-removed",
    "attachment-repacked", "attachment-damaged", "attachment-recovered",
  ],
  jobs: [
    "job-submitted", "job-started", "job-step-finished", "job-output-added", "job-output-dropped", "job-interrupted", "job-paused",
    "job-resumed", "job-cancelled", "job-retry-scheduled", "job-succeeded", "job-failed", "job-resubmitted", "job-forgotten",
  ],
  scripts: ["callback-failed", "callback-recovered", "callback-skipped", "key-value-stored", "key-value-deleted"],
  remotes: [
    "modality-stored", "modality-removed", "modality-changed", "modality-dropped", "peer-stored", "peer-removed", "peer-changed",
    "peer-dropped", "dicomweb-server-stored", "dicomweb-server-removed", "dicomweb-server-changed", "dicomweb-server-dropped",
    "commitment-requested", "commitment-reported", "commitment-forgotten", "worklist-stored", "worklist-removed",
  ],
  server: ["changes-cleared", "exports-cleared", "main-tags-chosen", "anonymous-name-drawn"],
} as const; // prettier-ignore

export type Family = keyof typeof FAMILIES;
export const FAMILY_NAMES = Object.keys(FAMILIES) as Family[];

export interface Groups {
  families: Family[];
  /** Those that are chosen without all of their family. */
  single: string[];
}

/** Return chosen types as whole families and what is left. */
export function grouped(types: string[]): Groups {
  const families = FAMILY_NAMES.filter((name) => FAMILIES[name].every((type) => types.includes(type)));
  const covered = families.flatMap((name) => FAMILIES[name] as readonly string[]);
  return { families, single: types.filter((type) => !covered.includes(type)) };
}

/** Return the chosen types with a family added, or taken away where it is there. */
export function toggled(types: string[], family: Family): string[] {
  const those: readonly string[] = FAMILIES[family];
  const others = types.filter((type) => !those.includes(type));
  return grouped(types).families.includes(family) ? others : [...others, ...those];
}
