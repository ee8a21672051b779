/** Tags in words: names with blanks, and values as people write them. */

import { day, personName, time } from "../parts/values";

/** `SliceThickness` -> "Slice Thickness", `SOPInstanceUID` -> "SOP Instance UID". */
export const spaced = (name: string): string =>
  name.replace(/([a-z\d])([A-Z])/g, "$1 $2").replace(/([A-Z])([A-Z][a-z])/g, "$1 $2");

/** What people search by: neither case nor blanks count. */
export const squeezed = (text: string): string => text.toLowerCase().replace(/\s+/g, "");

/** A value as people write it, where that is another form; empty else. The names tell what they are: the answers have no VR. */
export function readable(name: string, value: string, locale: string): string {
  let shown = "";
  if (/Date$/.test(name)) shown = day(value, locale);
  else if (/Time$/.test(name) && /^\d{4}/.test(value)) shown = time(value, locale);
  else if (/(Name|Physician|Physicians)$/.test(name) && value.includes("^")) shown = personName(value);
  return shown === value ? "" : shown;
}
