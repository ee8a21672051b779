/** Other servers, as `/modalities`, `/peers` and `/dicom-web/servers` know them, and what they are asked. */

import { ask, askJson } from "./client";
import { session } from "./session.svelte";

export type Kind = "modality" | "peer" | "dicomweb";

export interface Remote {
  kind: Kind;
  name: string;
  /** Where it is, in short. */
  place: string;
}

export const path = (remote: Remote): string =>
  `${{ modality: "/modalities", peer: "/peers", dicomweb: `${root()}servers` }[remote.kind]}/${encodeURIComponent(remote.name)}`;

/** The root of DICOMweb, which the configuration may have moved; empty where there is none. */
const root = (): string => session.now?.DicomWebRoot ?? "";

type Described = Record<string, { AET?: string; Host?: string; Port?: number; Url?: string }>;

export async function listRemotes(kinds: Kind[]): Promise<Remote[]> {
  const lists = kinds.map(async (kind) => {
    if (kind === "dicomweb" && root() === "") return [];
    const told = await askJson<Described>(`${path({ kind, name: "", place: "" }).replace(/\/$/, "")}?expand`);
    return Object.entries(told).map(([name, { AET, Host, Port, Url }]) => ({
      kind,
      name,
      place: Url ?? `${AET ?? ""} · ${Host ?? ""}:${Port ?? ""}`,
    }));
  });
  return (await Promise.all(lists)).flat();
}

/** A job that the server has taken on. */
export interface Started {
  ID: string;
}

const start = (where: string, body: object): Promise<Started> =>
  askJson(where, { method: "POST", body: { ...body, Asynchronous: true } });

export async function send(remote: Remote, resources: string[], withCommitment = false): Promise<Started> {
  const where = `${path(remote)}/${remote.kind === "dicomweb" ? "stow" : "store"}`;
  return start(where, { Resources: resources, ...(withCommitment ? { StorageCommitment: true } : {}) });
}

/** Ask whether a remote answers; returns after how many milliseconds it did. */
export async function echo(remote: Remote): Promise<number> {
  const began = performance.now();
  if (remote.kind === "modality") await ask(`${path(remote)}/echo`, { method: "POST", body: {} });
  else if (remote.kind === "peer") await ask(`${path(remote)}/system`);
  else await qido(remote, "studies", { limit: "1" });
  return performance.now() - began;
}

/** Keyword -> value, of a study or series of a remote. */
export type Match = Record<string, string>;

export interface Found {
  matches: Match[];
  /** How many there are; more than are shown, where a search is wide. */
  count: number;
  /** What `retrieve` needs of a modality: the query, whose answers have the numbers of the matches. */
  query: string;
}

/** So many matches are shown; who has more should ask for less. */
export const MOST = 200;

const STUDY = ["PatientName", "PatientID", "StudyDate", "StudyDescription", "AccessionNumber", "ModalitiesInStudy"];
const COUNTS = ["NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances"];
const SERIES = ["Modality", "SeriesNumber", "SeriesDescription", "NumberOfSeriesRelatedInstances"];

export async function findStudies(remote: Remote, wanted: Match): Promise<Found> {
  if (remote.kind === "dicomweb") {
    const includes = [...STUDY, ...COUNTS].filter((name) => !(name in wanted));
    return qidoPage(remote, "studies", { ...wanted, includefield: includes.join(",") });
  }
  const keys = Object.fromEntries([...STUDY, ...COUNTS, "StudyInstanceUID"].map((name) => [name, wanted[name] ?? ""]));
  const query = await askJson<{ Path: string }>(`${path(remote)}/query`, {
    method: "POST",
    body: { Level: "Study", Query: keys },
  });
  return answers(query.Path);
}

/** The series of a study, which is the match of this number. */
export async function findSeries(remote: Remote, studies: Found, number: number): Promise<Found> {
  const uid = studies.matches[number]?.StudyInstanceUID ?? "";
  if (remote.kind === "dicomweb") return qidoPage(remote, `studies/${uid}/series`, { includefield: SERIES.join(",") });
  const keys = Object.fromEntries([...SERIES, "SeriesInstanceUID"].map((name) => [name, ""]));
  const query = await askJson<{ Path: string }>(`${studies.query}/answers/${number}/query-series`, {
    method: "POST",
    body: { Query: keys },
  });
  return answers(query.Path);
}

async function answers(query: string): Promise<Found> {
  const numbers = await askJson<string[]>(`${query}/answers`);
  const matches = await askJson<Match[]>(`${query}/answers?expand&simplify&since=0&limit=${MOST}`);
  return { matches, count: numbers.length, query };
}

async function qidoPage(remote: Remote, uri: string, wanted: Match): Promise<Found> {
  const matches = await qido(remote, uri, { ...wanted, limit: String(MOST + 1) });
  return { matches: matches.slice(0, MOST), count: matches.length, query: "" };
}

type Named = Record<string, { Name: string; Value?: string | number }>;

async function qido(remote: Remote, uri: string, wanted: Match): Promise<Match[]> {
  const told = await askJson<Named[]>(`${path(remote)}/qido`, {
    method: "POST",
    body: { Uri: uri, Arguments: wanted },
  });
  return told.map((match) =>
    Object.fromEntries(Object.values(match).map(({ Name, Value }) => [Name, String(Value ?? "")])),
  );
}

/** Retrieve one match. The server chooses between C-MOVE and C-GET as it is configured. */
export async function retrieve(remote: Remote, found: Found, number: number): Promise<Started> {
  if (remote.kind === "modality") return start(`${found.query}/answers/${number}/retrieve`, {});
  const { StudyInstanceUID: Study, SeriesInstanceUID: Series } = found.matches[number] ?? {};
  return start(`${path(remote)}/retrieve`, { Resources: [{ Study, ...(Series ? { Series } : {}) }] });
}
