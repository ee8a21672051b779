/** What other servers have: asked by C-FIND or QIDO-RS, and retrieved from there. */

import { askJson } from "./client";
import type { Started } from "./jobs";
import { type Match, path, qido, type Remote } from "./remotes";

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
  const matches = await qido(path(remote), uri, { ...wanted, limit: String(MOST + 1) });
  return { matches: matches.slice(0, MOST), count: matches.length, query: "" };
}

/** Retrieve one match. The server chooses between C-MOVE and C-GET as it is configured. */
export async function retrieve(remote: Remote, found: Found, number: number): Promise<Started> {
  const start = (where: string, body: object): Promise<Started> =>
    askJson(where, { method: "POST", body: { ...body, Asynchronous: true } });
  if (remote.kind === "modality") return start(`${found.query}/answers/${number}/retrieve`, {});
  const { StudyInstanceUID: Study, SeriesInstanceUID: Series } = found.matches[number] ?? {};
  return start(`${path(remote)}/retrieve`, { Resources: [{ Study, ...(Series ? { Series } : {}) }] });
}
