/** What is no image: the text of a structured report (PS3.3 §C.17.3). */

import type { Attributes } from "../api/images";
import { textOf } from "./attributes";

export const PDF = "1.2.840.10008.5.1.4.1.1.104.1";
const [CONTENT, CONCEPT, KIND] = ["0040A730", "0040A043", "0040A040"];
const [MEANING, CODE] = ["00080104", "00080100"];
/** Kind of an item -> where its value stands. */
const VALUES: Record<string, string> = {
  TEXT: "0040A160",
  DATETIME: "0040A120",
  DATE: "0040A121",
  TIME: "0040A122",
  PNAME: "0040A123",
  UIDREF: "0040A124",
};

export interface Entry {
  name: string;
  /** Of PS3.3 §C.17.3.2.1: TEXT, DATE, NUM … */
  kind: string;
  value: string;
  parts: Entry[];
}

/** Return the items of a report; none where a dataset is no report. */
export function entriesOf(attributes: Attributes): Entry[] {
  return items(attributes, CONTENT).map((item) => ({
    name: textOf(items(item, CONCEPT)[0] ?? {}, MEANING),
    kind: textOf(item, KIND),
    value: valueOf(item),
    parts: entriesOf(item),
  }));
}

function valueOf(item: Attributes): string {
  const kind = textOf(item, KIND);
  if (kind === "CODE") return textOf(items(item, "0040A168")[0] ?? {}, MEANING);
  if (kind !== "NUM") return textOf(item, VALUES[kind] ?? "");
  const measured = items(item, "0040A300")[0] ?? {};
  const unit = textOf(items(measured, "004008EA")[0] ?? {}, CODE);
  return [textOf(measured, "0040A30A"), unit === "1" ? "" : unit].filter(Boolean).join(" ");
}

function items(attributes: Attributes, tag: string): Attributes[] {
  return (attributes[tag]?.Value ?? []) as Attributes[];
}
