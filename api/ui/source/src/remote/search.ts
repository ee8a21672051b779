/** What somebody looks for at a remote, as keys of a query. */

import type { Match } from "../api/remotes";

export interface Form {
  PatientName: string;
  PatientID: string;
  AccessionNumber: string;
  ModalitiesInStudy: string;
  /** As a browser's date field has it, `2026-01-31`. */
  from: string;
  to: string;
}

export const EMPTY: Form = {
  PatientName: "",
  PatientID: "",
  AccessionNumber: "",
  ModalitiesInStudy: "",
  from: "",
  to: "",
};

/** Names are found by any part of them; identifiers are as they are, for a wildcard makes some remotes look at every study. */
export function criteria(form: Form): Match {
  const { PatientName, PatientID, AccessionNumber, ModalitiesInStudy, from, to } = form;
  const name = PatientName.trim();
  const days = [from, to].map((date) => date.replaceAll("-", ""));
  const keys: Match = {
    PatientName: name === "" || /[*?]/.test(name) ? name : `*${name.replace(/[,\s]+/g, "*")}*`,
    PatientID: PatientID.trim(),
    AccessionNumber: AccessionNumber.trim(),
    ModalitiesInStudy: ModalitiesInStudy.trim().toUpperCase(),
    StudyDate: from === "" && to === "" ? "" : from === to ? (days[0] ?? "") : days.join("-"),
  };
  return Object.fromEntries(Object.entries(keys).filter(([, value]) => value !== ""));
}
