/** Other servers: modalities, peers and DICOMweb servers, listed, described, changed, tried, and sent to. */

import { ask, askJson } from "./client";
import type { Started } from "./jobs";
import { session } from "./session.svelte";

export const KINDS = ["modality", "peer", "dicomweb"] as const;
export type Kind = (typeof KINDS)[number];

export interface Remote {
  kind: Kind;
  name: string;
  /** Where it is, in short. */
  place: string;
}

/** Fields as the server has them; which there are depends on the kind. */
export type Description = Record<string, unknown>;

/** Where remotes of a kind come from, and how long changes hold. */
export interface Origin {
  Configured: string[];
  InDatabase: boolean;
}

/** The collection of a kind; empty where the server has none: the root of DICOMweb may be anywhere. */
function collection(kind: Kind): string {
  const root = session.now?.DicomWebRoot ?? "";
  return { modality: "/modalities", peer: "/peers", dicomweb: root && `${root}servers` }[kind];
}

export const path = ({ kind, name }: Pick<Remote, "kind" | "name">): string =>
  `${collection(kind)}/${encodeURIComponent(name)}`;
export const keyOf = ({ kind, name }: Pick<Remote, "kind" | "name">): string => `${kind}/${name}`;

export function placeOf(kind: Kind, { AET, Host, Port, Url }: Description): string {
  return kind === "modality" ? `${String(AET)} · ${String(Host)}:${String(Port)}` : String(Url);
}

/** Return the remotes of a kind with their descriptions, by name. */
export async function describeAll(kind: Kind): Promise<Record<string, Description>> {
  const where = collection(kind);
  return where === "" ? {} : askJson(`${where}?expand`);
}

export async function listRemotes(kinds: readonly Kind[]): Promise<Remote[]> {
  const lists = kinds.map(async (kind) =>
    Object.entries(await describeAll(kind)).map(([name, of]) => ({ kind, name, place: placeOf(kind, of) })),
  );
  return (await Promise.all(lists)).flat();
}

const NAMES: Record<Kind, string> = { modality: "Modalities", peer: "Peers", dicomweb: "DicomWebServers" };

export async function getOrigin(kind: Kind): Promise<Origin> {
  const told = await askJson<Record<string, Origin>>("/remotes/status");
  return told[NAMES[kind]] ?? { Configured: [], InDatabase: false };
}

export async function put(kind: Kind, name: string, description: Description): Promise<void> {
  await ask(path({ kind, name }), { method: "PUT", body: description });
}

export async function remove(kind: Kind, name: string): Promise<void> {
  await ask(path({ kind, name }), { method: "DELETE" });
}

/** Ask whether a remote answers; returns after how many milliseconds it did. */
export async function echo(remote: Pick<Remote, "kind" | "name">): Promise<number> {
  const began = performance.now();
  if (remote.kind === "modality") await ask(`${path(remote)}/echo`, { method: "POST", body: {} });
  else if (remote.kind === "peer") await ask(`${path(remote)}/system`);
  else await qido(path(remote), "studies", { limit: "1" });
  return performance.now() - began;
}

/** Keyword -> value, of a study or series of a remote. */
export type Match = Record<string, string>;

type Named = Record<string, { Name: string; Value?: string | number }>;

/** Ask the DICOMweb server at a path of this one. */
export async function qido(server: string, uri: string, wanted: Match): Promise<Match[]> {
  const told = await askJson<Named[]>(`${server}/qido`, { method: "POST", body: { Uri: uri, Arguments: wanted } });
  return told.map((match) =>
    Object.fromEntries(Object.values(match).map(({ Name, Value }) => [Name, String(Value ?? "")])),
  );
}

export async function send(remote: Remote, resources: string[], withCommitment = false): Promise<Started> {
  return askJson(`${path(remote)}/${remote.kind === "dicomweb" ? "stow" : "store"}`, {
    method: "POST",
    body: { Resources: resources, ...(withCommitment ? { StorageCommitment: true } : {}), Asynchronous: true },
  });
}
