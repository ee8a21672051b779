/** What a file that could not be stored looks like: an image that may be missing, or something that only lies beside images.
 *
 * The server does the same with what lies in a ZIP (`api/rest/file_kinds.py`).
 */

export type Kind = "image" | "directory" | "other";

export const HEAD_BYTES = 1024; // group 2 of a DICOMDIR names its class in the first 400
const PREAMBLE_BYTES = 128;
const DIRECTORY = "1.2.840.10008.1.3.10\0"; // Media Storage Directory Storage (PS3.4 §B.5)
const NAMED = /\.(dcm|dicom|dic|ima)$/i;

/** Tell by the name and the first bytes; a file without extension that is empty or holds zeros alone may have been an image. */
export function kindOf(name: string, head: Uint8Array): Kind {
  const base = name.split(/[/\\]/).at(-1) ?? "";
  if (base.startsWith("._")) return "other"; // what macOS puts beside each file
  const text = String.fromCharCode(...head);
  // A dataset without preamble begins with group 2 or 8, little endian.
  const isBare = head.length >= 8 && (head[0] === 2 || head[0] === 8) && head[1] === 0 && head[3] === 0;
  if (text.startsWith("DICM", PREAMBLE_BYTES) || isBare) return text.includes(DIRECTORY) ? "directory" : "image";
  if (NAMED.test(base) || (!base.includes(".") && head.every((byte) => byte === 0))) return "image";
  return "other";
}

/** Look into a file that the server cannot read; a ZIP that it cannot open may hold images. */
export async function look(name: string, file: File): Promise<Kind> {
  const head = new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer());
  if (/\.zip$/i.test(name) || String.fromCharCode(...head.subarray(0, 4)) === "PK\x03\x04") return "image";
  return kindOf(name, head);
}
