/** An error in words for people. */

import { RequestFailed, ServerAway } from "../api/client";
import { t } from "../i18n/index.svelte";

export function wordsOf(error: unknown): string {
  if (error instanceof RequestFailed) return [error.message, error.details].filter(Boolean).join(": ");
  if (error instanceof ServerAway) return t("error.away");
  return error instanceof Error && error.message ? error.message : String(error);
}
