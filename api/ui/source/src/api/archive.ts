/** Resources of the archive, as `/tools/find` and `/{level}/{id}` show them. */

import { askJson } from "./client";

export type Level = "Patient" | "Study" | "Series" | "Instance";

export interface Resource {
  ID: string;
  Type: Level;
  MainDicomTags: Record<string, string>;
  PatientMainDicomTags?: Record<string, string>;
  RequestedTags?: Record<string, string>;
  Labels: string[];
  IsStable?: boolean;
  ParentPatient?: string;
  ParentStudy?: string;
  ParentSeries?: string;
}

export interface Search {
  Level: Level;
  /** Keyword -> what it must match; empty: everything. */
  Query: Record<string, string>;
  Labels?: string[];
  LabelsConstraint?: "All" | "Any" | "None";
  OrderBy?: { Type: "DicomTag" | "Metadata"; Key: string; Direction: "ASC" | "DESC" }[];
}

export async function findPage(
  search: Search,
  since: number,
  limit: number,
  signal?: AbortSignal,
): Promise<Resource[]> {
  return askJson<Resource[]>("/tools/find", {
    method: "POST",
    body: {
      ...search,
      Expand: true,
      Since: since,
      Limit: limit,
      RequestedTags:
        search.Level === "Study"
          ? ["ModalitiesInStudy", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances"]
          : [],
    },
    signal,
  });
}

export async function countFound(search: Search, signal?: AbortSignal): Promise<number> {
  const { Level, Query, Labels = [], LabelsConstraint = "All" } = search;
  const body = { Level, Query, ...(Labels.length > 0 ? { Labels, LabelsConstraint } : {}) };
  return (await askJson<{ Count: number }>("/tools/count-resources", { method: "POST", body, signal })).Count;
}
