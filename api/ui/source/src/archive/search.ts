/** A search for studies: how it stands in the address, and what the server is asked for. */

import type { Search } from "../api/archive";
import { days, type Period } from "./period";

/** Fields that are always there, and those that can be added. */
export const FIELDS = ["PatientName", "PatientID", "StudyDescription", "AccessionNumber"] as const;
export const FURTHER = [
  "PatientBirthDate",
  "PatientSex",
  "OtherPatientIDs",
  "ReferringPhysicianName",
  "InstitutionName",
  "RequestedProcedureDescription",
  "RequestingPhysician",
  "StudyID",
  "StudyTime",
  "StudyInstanceUID",
] as const;
export type Field = (typeof FIELDS)[number] | (typeof FURTHER)[number];

export const COLUMNS = [
  "PatientName",
  "PatientID",
  "PatientBirthDate",
  "StudyDate",
  "StudyDescription",
  "AccessionNumber",
  "ModalitiesInStudy",
  "NumberOfStudyRelatedSeries",
  "NumberOfStudyRelatedInstances",
] as const;
export type Column = (typeof COLUMNS)[number];

/** Columns that the server can put in order; it has an index of the first four, and looks at each study for the others. */
export const SORTED: readonly Column[] = [
  "StudyDate",
  "PatientName",
  "StudyDescription",
  "PatientBirthDate",
  "PatientID",
  "AccessionNumber",
];
const INDEXED = 4;
/** Beyond so many studies only what the server has an index of is put in order: the others would take seconds for each page. */
export const MOST_SORTED = 200_000;

export const isSortable = (column: Column, count: number): boolean =>
  SORTED.slice(0, count > MOST_SORTED ? INDEXED : undefined).includes(column);

export const CONSTRAINTS = ["All", "Any", "None"] as const;
export type Constraint = (typeof CONSTRAINTS)[number];

export interface Wanted {
  fields: Partial<Record<Field, string>>;
  period: Period;
  modalities: string[];
  labels: string[];
  constraint: Constraint;
  sort: Column;
  descends: boolean;
}

const split = (text: string | null): string[] => (text ?? "").split(",").filter(Boolean);

export function read(query: URLSearchParams): Wanted {
  const fields: Wanted["fields"] = {};
  for (const name of [...FIELDS, ...FURTHER]) {
    const value = query.get(name);
    if (value !== null) fields[name] = value;
  }
  const sort = SORTED.find((name) => name === query.get("sort")) ?? "StudyDate";
  return {
    fields,
    period: { from: query.get("from") ?? "", to: query.get("to") ?? "", last: query.get("last") ?? "" },
    modalities: split(query.get("modalities")),
    labels: split(query.get("labels")),
    constraint: CONSTRAINTS.find((name) => name === query.get("constraint")) ?? "All",
    sort,
    descends: (query.get("order") ?? (sort === "StudyDate" ? "desc" : "asc")) === "desc",
  };
}

export function write(wanted: Wanted): URLSearchParams {
  const query = new URLSearchParams();
  const put = (name: string, value: string, usual = "") => {
    if (value !== usual) query.set(name, value);
  };
  for (const [name, value] of Object.entries(wanted.fields))
    if (value || (FURTHER as readonly string[]).includes(name)) query.set(name, value);
  for (const [name, value] of Object.entries(wanted.period)) put(name, value);
  put("modalities", wanted.modalities.join(","));
  put("labels", wanted.labels.join(","));
  put("constraint", wanted.constraint, "All");
  put("sort", wanted.sort, "StudyDate");
  put("order", wanted.descends ? "desc" : "asc", wanted.sort === "StudyDate" ? "desc" : "asc");
  return query;
}

/** Whether it asks for anything but the whole archive. */
export function isNarrow({ fields, period, modalities, labels }: Wanted): boolean {
  return [...Object.values(fields), ...Object.values(period), ...modalities, ...labels].some(Boolean);
}

/**
 * What somebody types as the server matches it: anywhere in a value, whatever its case. Who writes a `*` or `?` says where.
 *
 * Parts of a name are found in their order, however they are written: `Doe, Jane`, `doe jane`, `DOE^JANE`. A letter beyond ASCII may
 * stand in the archive with its accent or without, and an index that is read by its beginning would miss one of them.
 */
export function pattern(name: Field, text: string): string {
  const typed = text.trim();
  if (/[*?\\]/.test(typed) || name === "PatientSex") return typed;
  if (name === "PatientBirthDate" || name === "StudyTime")
    return /-/.test(typed) ? typed : `${typed.replace(/[.:]/g, "")}*`;
  if (name === "StudyInstanceUID") return typed;
  const parts = name.endsWith("Name") || name === "RequestingPhysician" ? typed.split(/[\s,^]+/) : [typed];
  return `*${parts.filter(Boolean).map(unaccented).join("*")}*`;
}

/** `é` becomes `?`, which is any letter: the archive may have it as `e`, `é` or in two parts. */
function unaccented(part: string): string {
  return part.normalize("NFC").replace(/\p{L}/gu, (letter) => (/\p{M}/u.test(letter.normalize("NFD")) ? "?" : letter));
}

export function toSearch(wanted: Wanted, today: Date): Search {
  const keys: Record<string, string> = {};
  for (const [name, text] of Object.entries(wanted.fields)) if (text.trim()) keys[name] = pattern(name as Field, text);
  const period = days(wanted.period, today);
  if (period) keys.StudyDate = period;
  if (wanted.modalities.length > 0) keys.ModalitiesInStudy = wanted.modalities.join("\\");
  return {
    Level: "Study",
    Query: keys,
    ...(wanted.labels.length > 0 ? { Labels: wanted.labels, LabelsConstraint: wanted.constraint } : {}),
    OrderBy: [{ Type: "DicomTag", Key: wanted.sort, Direction: wanted.descends ? "DESC" : "ASC" }],
  };
}
