/** What is done with resources: most of it is a job. */

import { type Level, PATHS, type Resource, valueOf } from "./archive";
import { ask, askJson } from "./client";
import type { Started } from "./jobs";

export interface Change {
  Replace: Record<string, string>;
  Remove: string[];
  Keep: string[];
  KeepSource: boolean;
  Force?: boolean;
  RemovePrivateTags?: boolean;
  KeepPrivateTags?: boolean;
  KeepLabels?: boolean;
  DicomVersion?: string;
}

/** The editions of PS3.15 whose Basic Profile the server knows, the newest first, and which of them is Orthanc's default. */
export const EDITIONS = ["2026c", "2024b", "2023b", "2021b", "2017c", "2008"];
export const DEFAULT_EDITION = "2023b";

const ids = (resources: Resource[]): string[] => resources.map((resource) => resource.ID);

/** Ask for a change as a job: of one resource by its own route, of several, or of instances (whose route gives a file), by the one for many. */
async function change(verb: Verb, resources: Resource[], body: object): Promise<Started> {
  const [first] = resources;
  const isOne = resources.length === 1 && first !== undefined && first.Type !== "Instance";
  return askJson(isOne ? `/${PATHS[first.Type]}/${first.ID}/${verb}` : `/tools/bulk-${verb}`, {
    method: "POST",
    body: {
      ...body,
      Asynchronous: true,
      ...(isOne ? {} : { Resources: ids(resources) }),
      ...(isOne || verb === "anonymize" ? {} : { Level: first?.Type ?? "Instance" }),
    },
  });
}

export const modify = (resources: Resource[], body: Change): Promise<Started> => change("modify", resources, body);
export const anonymize = (resources: Resource[], body: Change): Promise<Started> =>
  change("anonymize", resources, body);

export interface Tag {
  Name: string;
  Type: string;
  Value: string | Dataset[] | null;
  /** It is another one each time, such as an identifier. */
  IsDrawn?: boolean;
}
export type Dataset = Record<string, Tag>;

export type Verb = "modify" | "anonymize";

/** The tags of an instance before and after a change of a resource of this level; nothing is changed. */
export async function previewChange(
  verb: Verb,
  instance: string,
  Level: Level,
  body: Change,
): Promise<{ Before: Dataset; After: Dataset }> {
  return askJson(`/${PATHS.Instance}/${instance}/${verb}/preview`, { method: "POST", body: { ...body, Level } });
}

/** Merge studies into the first of them, or make a new study of some series of one. */
export async function merge(into: string, studies: string[], KeepSource: boolean): Promise<Started> {
  const body = { Resources: studies, KeepSource, Asynchronous: true };
  return askJson(`/studies/${into}/merge`, { method: "POST", body });
}

export async function split(study: string, series: string[], KeepSource: boolean): Promise<Started> {
  const body = { Series: series, KeepSource, Asynchronous: true };
  return askJson(`/studies/${study}/split`, { method: "POST", body });
}

/** Orders whose address would be longer than servers between take are jobs. */
export const MOST_IN_ADDRESS = 100;

/** Where a browser downloads resources from as they are packed. */
export function archivePath(resources: Resource[], kind: "archive" | "media"): string {
  const [first] = resources;
  if (resources.length === 1 && first !== undefined && first.Type !== "Instance")
    return `/${PATHS[first.Type]}/${first.ID}/${kind}${fileName(first)}`;
  return `/tools/create-${kind}?resources=${ids(resources).join(",")}`;
}

const NAMING: Partial<Record<Level, string[]>> = {
  Study: ["ModalitiesInStudy", "StudyDescription", "StudyDate"],
  Series: ["Modality", "SeriesNumber", "SeriesDescription"],
};

/** The name of a download, by which people tell it from others: without who the patient is, since servers between keep addresses in their logs. */
function fileName(resource: Resource): string {
  const words = (NAMING[resource.Type] ?? []).map((keyword) => plain(valueOf(resource, keyword)));
  const name = words.filter(Boolean).join("_");
  return name === "" ? "" : `?filename=${name}.zip`;
}

/** What stands in an address and in a file's name as it is: the server does not decode it. */
const plain = (value: string): string =>
  value
    .normalize("NFD")
    .replace(/\p{Diacritic}/gu, "")
    .replace(/[^A-Za-z0-9]+/g, "-")
    .replace(/^-|-$/g, "")
    .slice(0, 64);

export async function packLater(resources: Resource[], kind: "archive" | "media"): Promise<Started> {
  return askJson(`/tools/create-${kind}`, { method: "POST", body: { Resources: ids(resources), Asynchronous: true } });
}

export async function protect(patient: string, isProtected: boolean): Promise<void> {
  await ask(`/patients/${patient}/protected`, { method: "PUT", body: isProtected ? "1" : "0" });
}

export interface Sizes {
  CountStudies: number;
  CountSeries: number;
  CountInstances: number;
  DiskSize: number;
}

/** How much lies in resources that do not contain each other. */
export async function sizesOf(resources: Resource[]): Promise<Sizes> {
  const sum: Sizes = { CountStudies: 0, CountSeries: 0, CountInstances: 0, DiskSize: 0 };
  for (const { Type, ID } of resources) {
    const told = await askJson<Record<keyof Sizes, number | string | undefined>>(`/${PATHS[Type]}/${ID}/statistics`);
    for (const name of Object.keys(sum) as (keyof Sizes)[]) sum[name] += Number(told[name] ?? 0);
    if (Type === "Study") sum.CountStudies += 1;
    if (Type === "Series") sum.CountSeries += 1;
    if (Type === "Instance") sum.CountInstances += 1;
  }
  return sum;
}

interface Ancestor {
  ID: string;
  Type: Level;
}

/** Delete resources; returns what is left above a single one. */
export async function remove(resources: Resource[]): Promise<Ancestor | null> {
  const [first] = resources;
  if (resources.length === 1 && first !== undefined) {
    const where = `/${PATHS[first.Type]}/${first.ID}`;
    return (await askJson<{ RemainingAncestor: Ancestor | null }>(where, { method: "DELETE" })).RemainingAncestor;
  }
  await ask("/tools/bulk-delete", { method: "POST", body: { Resources: ids(resources) } });
  return null;
}
