/** Resources of the archive, as `/tools/find` and `/{level}/{id}` show them. */

import { ask, askJson } from "./client";

export type Level = "Patient" | "Study" | "Series" | "Instance";

export const PATHS: Record<Level, string> = {
  Patient: "patients",
  Study: "studies",
  Series: "series",
  Instance: "instances",
};
export const PARENTS: Partial<Record<Level, Level>> = { Study: "Patient", Series: "Study", Instance: "Series" };
export const CHILDREN: Partial<Record<Level, Level>> = { Patient: "Study", Study: "Series", Series: "Instance" };

export interface Resource {
  ID: string;
  Type: Level;
  MainDicomTags: Record<string, string>;
  PatientMainDicomTags?: Record<string, string>;
  RequestedTags?: Record<string, string>;
  Labels: string[];
  IsStable?: boolean;
  IsProtected?: boolean;
  LastUpdate?: string;
  Status?: string;
  ParentPatient?: string;
  ParentStudy?: string;
  ParentSeries?: string;
  FileSize?: number;
  /** Of an instance. It is another once the instance was overwritten. */
  FileUuid?: string;
  IndexInSeries?: number;
  /** What a copy was made of. */
  AnonymizedFrom?: string;
  ModifiedFrom?: string;
}

export interface Search {
  Level: Level;
  /** Keyword -> what it must match; empty: everything. */
  Query: Record<string, string>;
  /** Keyword -> texts that must match, all of them. */
  QueryAll?: Record<string, string[]>;
  Labels?: string[];
  LabelsConstraint?: "All" | "Any" | "None";
  OrderBy?: { Type: "DicomTag" | "DicomTagAsInt" | "Metadata"; Key: string; Direction: "ASC" | "DESC" }[];
  ParentPatient?: string;
  ParentStudy?: string;
  ParentSeries?: string;
}

/** What is told of a resource beyond its main tags. */
const REQUESTED: Record<Level, string[]> = {
  Patient: ["NumberOfPatientRelatedStudies", "NumberOfPatientRelatedInstances"],
  Study: ["ModalitiesInStudy", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances"],
  Series: ["NumberOfSeriesRelatedInstances"],
  Instance: [],
};

export async function findPage(
  search: Search,
  since: number,
  limit: number,
  signal?: AbortSignal,
): Promise<Resource[]> {
  const body = { ...search, Expand: true, Since: since, Limit: limit, RequestedTags: REQUESTED[search.Level] };
  return askJson<Resource[]>("/tools/find", { method: "POST", body, signal });
}

export async function countFound(search: Search, signal?: AbortSignal): Promise<number> {
  const { OrderBy: _, ...body } = search;
  return (await askJson<{ Count: number }>("/tools/count-resources", { method: "POST", body, signal })).Count;
}

export async function getResource(level: Level, id: string): Promise<Resource> {
  const tags = REQUESTED[level].length > 0 ? `?requested-tags=${REQUESTED[level].join(";")}` : "";
  return askJson<Resource>(`/${PATHS[level]}/${id}${tags}`);
}

/** What studies are, by their identifiers, and the modalities of their series, in one request. */
export async function describeStudies(
  studies: string[],
  series: string[],
): Promise<{ studies: Map<string, Resource>; modalities: Map<string, Set<string>> }> {
  const body = { Resources: [...studies, ...series], Metadata: false };
  const found = await askJson<Resource[]>("/tools/bulk-content", { method: "POST", body });
  const modalities = new Map<string, Set<string>>();
  for (const { Type, ParentStudy, MainDicomTags } of found) {
    if (Type !== "Series" || ParentStudy === undefined || !MainDicomTags.Modality) continue;
    modalities.set(ParentStudy, (modalities.get(ParentStudy) ?? new Set()).add(MainDicomTags.Modality));
  }
  return { studies: new Map(found.filter(({ Type }) => Type === "Study").map((each) => [each.ID, each])), modalities };
}

export async function allLabels(): Promise<string[]> {
  return askJson<string[]>("/tools/labels");
}

/** How many studies have a label. */
export const countLabelled = (label: string, signal: AbortSignal): Promise<number> =>
  countFound({ Level: "Study", Query: {}, Labels: [label] }, signal);

export async function setLabel(level: Level, id: string, label: string, isOn: boolean): Promise<void> {
  await ask(`/${PATHS[level]}/${id}/labels/${encodeURIComponent(label)}`, {
    method: isOn ? "PUT" : "DELETE",
    ...(isOn ? { body: "" } : {}),
  });
}

/** A value of a resource, whichever of its lists it stands in; empty where it has none. */
export function valueOf(resource: Resource, keyword: string): string {
  return (
    resource.MainDicomTags[keyword] ??
    resource.PatientMainDicomTags?.[keyword] ??
    resource.RequestedTags?.[keyword] ??
    ""
  );
}
