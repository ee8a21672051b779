/** The form of a peer or a DICOMweb server, and the description that it stands for. */

import type { Description } from "../api/remotes";

export interface Pair {
  name: string;
  value: string;
  /** A value is known to the server, which shows it to nobody: left empty it stays. */
  isKept: boolean;
}

export interface PeerForm {
  Url: string;
  Username: string;
  Password: string;
  Timeout: number;
  CertificateFile: string;
  CertificateKeyFile: string;
  CertificateKeyPassword: string;
  headers: Pair[];
  /** Members that are the business of plugins, and abilities of a DICOMweb server. */
  properties: Pair[];
  Pkcs11: boolean;
}

const KNOWN = [
  "Url", "Username", "Password", "Timeout", "CertificateFile", "CertificateKeyFile", "CertificateKeyPassword", "HttpHeaders", "Pkcs11",
]; // prettier-ignore
const SECRETS = ["Password", "CertificateKeyFile", "CertificateKeyPassword"] as const;

const text = (value: unknown): string => (typeof value === "string" ? value : "");

/** Return the form of what the server shows; of nothing for a new one. Secrets are empty in it. */
export function formOf(shown: Description = {}): PeerForm {
  return {
    Url: text(shown.Url),
    Username: text(shown.Username),
    Password: "",
    Timeout: typeof shown.Timeout === "number" ? shown.Timeout : 0,
    CertificateFile: text(shown.CertificateFile),
    CertificateKeyFile: "",
    CertificateKeyPassword: "",
    headers: (Array.isArray(shown.HttpHeaders) ? (shown.HttpHeaders as string[]) : []).map((name) => ({
      name,
      value: "",
      isKept: true,
    })),
    properties: Object.entries(shown)
      .filter(([name]) => !KNOWN.includes(name))
      .map(([name, value]) => ({ name, value: text(value), isKept: false })),
    Pkcs11: shown.Pkcs11 === true,
  };
}

/** Tell whether the server knows a secret, or may know it: it shows null for one. */
export const isKept = (shown: Description | undefined, name: string): boolean =>
  shown !== undefined && shown[name] === null;

/** Return the description that a form stands for. A secret left empty is null, which keeps it, where the server has shown one. */
export function descriptionOf(form: PeerForm, shown?: Description): Description {
  const made: Description = { Url: form.Url.trim(), Timeout: form.Timeout };
  if (form.Username !== "") made.Username = form.Username;
  if (form.CertificateFile !== "") made.CertificateFile = form.CertificateFile;
  for (const name of SECRETS) {
    const isNeeded = name === "Password" ? form.Username !== "" : form.CertificateFile !== "";
    if (form[name] !== "") made[name] = form[name];
    else if (isNeeded && isKept(shown, name)) made[name] = null;
  }
  if (form.Pkcs11) made.Pkcs11 = true;
  const headers = form.headers.filter(({ name }) => name.trim() !== "");
  if (headers.length > 0)
    made.HttpHeaders = Object.fromEntries(
      headers.map(({ name, value, isKept: kept }) => [name.trim(), value === "" && kept ? null : value]),
    );
  for (const { name, value } of form.properties) if (name.trim() !== "") made[name.trim()] = value;
  return made;
}

/** Return members of members with their names joined, in their order, as text; an empty value is a dash. */
export function flatten(values: Record<string, unknown>, before = ""): [string, string][] {
  return Object.entries(values)
    .sort(([one], [other]) => one.localeCompare(other))
    .flatMap(([name, value]): [string, string][] => {
      if (Array.isArray(value)) return [[before + name, value.map(String).join(", ") || "–"]];
      if (typeof value === "object" && value !== null && Object.keys(value).length > 0)
        return flatten(value as Record<string, unknown>, `${before}${name} › `);
      const isEmpty = value === null || value === "" || typeof value === "object";
      return [[before + name, isEmpty ? "–" : String(value).replaceAll(";", "; ")]];
    });
}
