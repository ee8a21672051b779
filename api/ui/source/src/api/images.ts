/** Images over DICOMweb: what is told of those of a series, and the pixels of one frame as they are stored. */

import { t } from "../i18n/index.svelte";
import { getResource, type Resource, valueOf } from "./archive";
import { ask, askJson } from "./client";
import { session } from "./session.svelte";

/** A dataset as DICOMweb writes it (PS3.18 §F.2): tag -> value. */
export type Attributes = Record<string, { vr: string; Value?: unknown[]; BulkDataURI?: string } | undefined>;

export interface SeriesImages {
  series: Resource;
  study: Resource;
  /** Its address in DICOMweb. */
  address: string;
  instances: Attributes[];
}

export interface Pixels {
  bytes: Uint8Array;
  transferSyntax: string;
}

const FAMILY = "1.2.840.10008.1.2.4.";
/** What codecs of this page decode: RLE, JPEG, JPEG-LS, JPEG 2000, HTJ2K. */
const DECODED = [
  "1.2.840.10008.1.2.5",
  ...["50", "51", "57", "70", "80", "81", "90", "91", "201", "202", "203"].map((number) => FAMILY + number),
];
export const PLAIN = "1.2.840.10008.1.2.1";
const TYPE = "application/octet-stream; transfer-syntax=";
/** Stored as it is where the page can decode that; any other, such as JPEG XL, is decoded by the server. */
const ACCEPT = [...DECODED.map((syntax) => TYPE + syntax), `${TYPE}${PLAIN}; q=0.5`].join(", ");

export async function getSeriesImages(id: string, signal: AbortSignal): Promise<SeriesImages> {
  const root = session.now?.DicomWebRoot ?? null;
  if (root === null) throw new Error(t("viewer.noDicomWeb"));
  const series = await askJson<Resource>(`/series/${id}?requested-tags=StudyInstanceUID`, { signal });
  const address = `${root}studies/${valueOf(series, "StudyInstanceUID")}/series/${valueOf(series, "SeriesInstanceUID")}`;
  const headers = { Accept: "application/dicom+json" };
  const [study, instances] = await Promise.all([
    getResource("Study", series.ParentStudy ?? ""),
    askJson<Attributes[]>(`${address}/metadata`, { headers, signal }),
  ]);
  return { series, study, address, instances };
}

/** Return the pixels of `…/instances/{uid}/frames/{number}`, which count from 1. */
export async function getFrame(address: string, signal: AbortSignal, priority: RequestPriority): Promise<Pixels> {
  const response = await ask(address, { headers: { Accept: ACCEPT }, signal, priority });
  const [, transferSyntax = PLAIN] = /transfer-syntax=([\d.]+)/.exec(response.headers.get("Content-Type") ?? "") ?? [];
  return { bytes: new Uint8Array(await response.arrayBuffer()), transferSyntax };
}

/** Return the identifier by which REST knows an instance; null where it has gone. */
export async function findInstance(uid: string): Promise<string | null> {
  const found = await askJson<{ Type: string; ID: string }[]>("/tools/lookup", { method: "POST", body: uid });
  return found.find((each) => each.Type === "Instance")?.ID ?? null;
}

const PALETTE = ["00281201", "00281202", "00281203"];

/** Fetch the tables of colours of an image whose metadata name only where they are; they become words (PS3.3 §C.7.6.3.1.6). */
export async function completePalette(attributes: Attributes, signal: AbortSignal): Promise<void> {
  for (const tag of PALETTE) {
    const table = attributes[tag];
    if (table?.BulkDataURI === undefined || table.Value !== undefined) continue;
    const { pathname } = new URL(table.BulkDataURI, location.href);
    const response = await ask(pathname, { headers: { Accept: "application/octet-stream" }, signal });
    const view = new DataView(await response.arrayBuffer());
    table.Value = Array.from({ length: view.byteLength >> 1 }, (_, place) => view.getUint16(2 * place, true));
  }
}
