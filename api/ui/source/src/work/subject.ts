/** Resources in a few words: one by what people call it, several by their number. */

import { type Resource, valueOf } from "../api/archive";
import { t } from "../i18n/index.svelte";
import { personName } from "../parts/values";

export function subject(resources: Resource[]): string {
  const [first] = resources;
  if (first === undefined) return "";
  if (resources.length > 1) return t(`work.count.${first.Type}`, { count: resources.length });
  const own = {
    Patient: () => personName(valueOf(first, "PatientName")) || valueOf(first, "PatientID"),
    Study: () => valueOf(first, "StudyDescription") || personName(valueOf(first, "PatientName")),
    Series: () => valueOf(first, "SeriesDescription") || valueOf(first, "Modality"),
    Instance: () => valueOf(first, "InstanceNumber"),
  }[first.Type]();
  const level = t(`level.${first.Type}`);
  return own ? t("work.named", { level, name: own }) : level;
}
