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

/** What a list can be in order of: also when the last image of a study came, of which the server keeps a table. */
export type Sort = Column | "LastUpdate";
export const SORTS: readonly Sort[] = ["StudyDate", "LastUpdate", ...SORTED.slice(1)];

export const isSortable = (name: Sort, count: number): boolean =>
  name === "LastUpdate" || SORTED.slice(0, count > MOST_SORTED ? INDEXED : undefined).includes(name);

/** Whether an order begins with its end: of times with the newest. */
export const isNewestFirst = (name: Sort): boolean => name === "StudyDate" || name === "LastUpdate";

export const CONSTRAINTS = ["All", "Any", "None"] as const;
export type Constraint = (typeof CONSTRAINTS)[number];

export interface Wanted {
  fields: Partial<Record<Field, string>>;
  period: Period;
  modalities: string[];
  labels: string[];
  constraint: Constraint;
  sort: Sort;
  descends: boolean;
}

const split = (text: string | null): string[] => (text ?? "").split(",").filter(Boolean);

export function read(query: URLSearchParams): Wanted {
  const fields: Wanted["fields"] = {};
  for (const name of [...FIELDS, ...FURTHER]) {
    const value = query.get(name);
    if (value !== null) fields[name] = value;
  }
  const sort = SORTS.find((name) => name === query.get("sort")) ?? "StudyDate";
  return {
    fields,
    period: { from: query.get("from") ?? "", to: query.get("to") ?? "", last: query.get("last") ?? "" },
    modalities: split(query.get("modalities")),
    labels: split(query.get("labels")),
    constraint: CONSTRAINTS.find((name) => name === query.get("constraint")) ?? "All",
    sort,
    descends: (query.get("order") ?? (isNewestFirst(sort) ? "desc" : "asc")) === "desc",
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
  put("order", wanted.descends ? "desc" : "asc", isNewestFirst(wanted.sort) ? "desc" : "asc");
  return query;
}

/** Whether it asks for anything but the whole archive. */
export function isNarrow({ fields, period, modalities, labels }: Wanted): boolean {
  return [...Object.values(fields), ...Object.values(period), ...modalities, ...labels].some(Boolean);
}

/**
 * What somebody types as the server matches it: anywhere in a value, whatever its case. Who writes a `*` or `?` says where.
 *
 * Words are found in any order: `Doe, Jane`, `jane doe`, `DOE^JANE`. The longest comes first, by which the server looks through an index.
 * A letter beyond ASCII may stand in the archive with its accent or without, and an index that is read by its beginning would miss one of them.
 */
export function pattern(name: Field, text: string): string | string[] {
  const typed = text.trim();
  if (/[*?\\]/.test(typed) || name === "PatientSex") return typed;
  if (name === "PatientBirthDate" || name === "StudyTime")
    return /-/.test(typed) ? typed : `${typed.replace(/[.:]/g, "")}*`;
  if (name === "StudyInstanceUID") return typed;
  const parts = IN_WORDS.has(name) ? typed.split(/[\s,^]+/) : [typed];
  const words = [...new Set(parts.filter(Boolean).map((part) => `*${unaccented(part)}*`))];
  const [only = "", ...others] = words.sort((one, other) => other.length - one.length);
  return others.length === 0 ? only : [only, ...others];
}

const IN_WORDS: ReadonlySet<Field> = new Set([
  "PatientName",
  "StudyDescription",
  "ReferringPhysicianName",
  "InstitutionName",
  "RequestedProcedureDescription",
  "RequestingPhysician",
]);

/** `é` becomes `?`, which is any letter: the archive may have it as `e`, `é` or in two parts. */
function unaccented(part: string): string {
  return part.normalize("NFC").replace(/\p{L}/gu, (letter) => (/\p{M}/u.test(letter.normalize("NFD")) ? "?" : letter));
}

export function toSearch(wanted: Wanted, today: Date): Search {
  const keys: Search["Query"] = {};
  const words: NonNullable<Search["QueryAll"]> = {};
  for (const [name, text] of Object.entries(wanted.fields)) {
    const sought = text.trim() ? pattern(name as Field, text) : "";
    if (typeof sought !== "string") words[name] = sought;
    else if (sought) keys[name] = sought;
  }
  const period = days(wanted.period, today);
  if (period) keys.StudyDate = period;
  if (wanted.modalities.length > 0) keys.ModalitiesInStudy = wanted.modalities.join("\\");
  return {
    Level: "Study",
    Query: keys,
    ...(Object.keys(words).length > 0 ? { QueryAll: words } : {}),
    ...(wanted.labels.length > 0 ? { Labels: wanted.labels, LabelsConstraint: wanted.constraint } : {}),
    OrderBy: [
      {
        Type: wanted.sort === "LastUpdate" ? "Metadata" : "DicomTag",
        Key: wanted.sort,
        Direction: wanted.descends ? "DESC" : "ASC",
      },
    ],
  };
}
