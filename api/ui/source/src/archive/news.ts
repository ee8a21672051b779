/** News of the archive for a list of studies. */

import { hear } from "../api/hearing";

const TYPES = [
  "study-created", "series-created", "resource-stabilized", "resource-deleted", "label-added", "label-removed", "tags-reconstructed",
]; // prettier-ignore

/** Call `look` some time after something has happened, until the returned function is called. */
export const hearNews = (look: () => Promise<void>, connected: (isConnected: boolean) => void): (() => void) =>
  hear(TYPES, look, { connected });
