/** Modalities, peers and DICOMweb servers as they are described: listed, changed and removed. */

import { ask, askJson } from "./client";

export type Kind = "Modalities" | "Peers" | "DicomWebServers";

/** Where remotes of a kind come from, and how long changes hold. */
export interface Origin {
  Configured: string[];
  InDatabase: boolean;
  /** null: the server has none of this kind. */
  Path: string | null;
}

export type Description = Record<string, unknown>;

export const getOrigins = (): Promise<Record<Kind, Origin>> => askJson("/remotes/status");

const of = (origin: Origin, name: string) => `${origin.Path ?? ""}/${encodeURIComponent(name)}`;

export const list = (origin: Origin): Promise<Record<string, Description>> => askJson(`${origin.Path ?? ""}?expand`);

export async function put(origin: Origin, name: string, description: Description): Promise<void> {
  await ask(of(origin, name), { method: "PUT", body: description });
}

export async function remove(origin: Origin, name: string): Promise<void> {
  await ask(of(origin, name), { method: "DELETE" });
}
