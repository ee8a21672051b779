/** An error in words for people. */

import { RequestFailed, ServerAway } from "../api/client";
import { t } from "../i18n/index.svelte";

/** A part of the page that could not be loaded; each browser has words of its own. */
const isMissedPart = (error: unknown): boolean =>
  error instanceof TypeError && /dynamically imported module|importing a module script/i.test(error.message);

export function wordsOf(error: unknown): string {
  if (error instanceof RequestFailed) return [error.message, error.details].filter(Boolean).join(": ");
  if (error instanceof ServerAway) return t("error.away");
  if (isMissedPart(error)) return t("error.part");
  return error instanceof Error && error.message ? error.message : String(error);
}
