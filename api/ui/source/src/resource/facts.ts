/** What people ask first of a resource: who, when, which number. */

import { type Level, type Resource, valueOf } from "../api/archive";
import type { Key } from "../i18n/index.svelte";
import { bytes, day, personName, time } from "../parts/values";

export interface Fact {
  key: Key;
  value: string;
  /** An identifier, which people take elsewhere. */
  isCopied: boolean;
}

const KEYWORDS: Record<Level, string[]> = {
  Patient: ["PatientID", "PatientBirthDate", "PatientSex", "NumberOfPatientRelatedStudies"],
  Study: [
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "AccessionNumber",
    "ReferringPhysicianName",
    "InstitutionName",
    "StudyInstanceUID",
  ],
  Series: ["Modality", "SeriesNumber", "BodyPartExamined", "ProtocolName", "StationName", "SeriesInstanceUID"],
  Instance: ["NumberOfFrames", "FileSize", "SOPInstanceUID"],
};
const COPIED = ["PatientID", "AccessionNumber", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"];

/** The facts of a resource, in words of a locale; those that it lacks are left out. */
export function facts(resource: Resource, locale: string): Fact[] {
  return KEYWORDS[resource.Type]
    .map((keyword) => ({
      key: `tag.${keyword}` as Key,
      value: shown(resource, keyword, locale),
      isCopied: COPIED.includes(keyword),
    }))
    .filter((fact) => fact.value !== "");
}

function shown(resource: Resource, keyword: string, locale: string): string {
  const value = valueOf(resource, keyword);
  if (keyword === "FileSize") return resource.FileSize === undefined ? "" : bytes(resource.FileSize, locale);
  if (
    keyword.endsWith("Name") &&
    keyword !== "ProtocolName" &&
    keyword !== "StationName" &&
    keyword !== "InstitutionName"
  )
    return personName(value);
  if (keyword === "StudyDate")
    return [day(value, locale), time(valueOf(resource, "StudyTime"), locale)].filter(Boolean).join(", ");
  return keyword.endsWith("Date") ? day(value, locale) : value;
}
