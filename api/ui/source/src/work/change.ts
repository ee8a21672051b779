/** A form of tags as a request to modify or to anonymise. */

import { type Level, type Resource, valueOf } from "../api/archive";
import type { Change } from "../api/work";

/** What is mostly wrong, by level; any other tag can be added. */
export const FIELDS: Record<Level, string[]> = {
  Patient: ["PatientName", "PatientID", "PatientBirthDate", "PatientSex"],
  Study: [
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDescription", "StudyDate", "AccessionNumber", "StudyID",
    "ReferringPhysicianName",
  ],
  Series: ["SeriesDescription", "SeriesNumber", "BodyPartExamined", "ProtocolName", "OperatorsName"],
  Instance: ["InstanceNumber", "ImageComments"],
}; // prettier-ignore

export const PATIENT_TAGS = FIELDS.Patient;

/** Identifiers: who replaces, keeps or removes one must say so (`Force`). */
const IDENTIFIERS = new Set(["PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]);
const OWN_UIDS: Record<Level, string[]> = {
  Patient: ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"],
  Study: ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"],
  Series: ["SeriesInstanceUID", "SOPInstanceUID"],
  Instance: ["SOPInstanceUID"],
};

export interface Field {
  tag: string;
  /** null: the resources differ. */
  old: string | null;
  value: string;
  isRemoved: boolean;
}

/** What becomes of the originals. */
export type Mode = "copy" | "replace" | "in-place";

export function fieldsOf(resources: Resource[]): Field[] {
  const level = resources[0]?.Type ?? "Instance";
  return FIELDS[level].map((tag) => {
    const [first = "", ...others] = new Set(resources.map((resource) => valueOf(resource, tag)));
    return { tag, old: others.length > 0 ? null : first, value: others.length > 0 ? "" : first, isRemoved: false };
  });
}

export const isChanged = (field: Field): boolean => !field.isRemoved && field.value !== (field.old ?? "");

/** `patient`: the main tags of another patient whom a study goes to; the server wants all of them. */
export function changeOf(
  level: Level,
  fields: Field[],
  mode: Mode,
  RemovePrivateTags: boolean,
  patient: Record<string, string> = {},
): Change {
  const named = fields.filter((field) => field.tag.trim() !== "");
  // A patient is what its ID says, so the server wants that in any case.
  const replaced = named.filter((field) => isChanged(field) || (level === "Patient" && field.tag === "PatientID"));
  return withForce({
    Replace: { ...patient, ...Object.fromEntries(replaced.map((field) => [field.tag.trim(), field.value])) },
    Remove: named.filter((field) => field.isRemoved).map((field) => field.tag.trim()),
    Keep: mode === "in-place" ? OWN_UIDS[level] : [],
    KeepSource: mode !== "replace",
    ...(RemovePrivateTags ? { RemovePrivateTags } : {}),
  });
}

export function withForce(change: Change): Change {
  const named = [...Object.keys(change.Replace), ...change.Remove, ...change.Keep];
  return named.some((tag) => IDENTIFIERS.has(tag)) ? { ...change, Force: true } : change;
}

/** Tags that somebody has written into one line. */
export const tagsOf = (text: string): string[] => text.split(/[\s,;]+/).filter(Boolean);
