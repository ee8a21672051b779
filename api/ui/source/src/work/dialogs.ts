/** What can be done with resources, each a dialog that is loaded when it is opened: the list of studies is part of the first view. */

import type { Component } from "svelte";

import type { Resource } from "../api/archive";

export interface DialogProps {
  /** One or more of one level, none of which contains another. */
  resources: Resource[];
  onclose: () => void;
  /** Called when they, or what can be seen of them, have changed. */
  onchange: () => void;
}

export const DIALOGS = {
  send: () => import("./Send.svelte"),
  anonymize: () => import("./Anonymize.svelte"),
  modify: () => import("./Modify.svelte"),
  merge: () => import("./Merge.svelte"),
  split: () => import("./Split.svelte"),
  labels: () => import("./LabelMany.svelte"),
  remove: () => import("./Remove.svelte"),
} satisfies Record<string, () => Promise<{ default: Component<DialogProps> }>>;

export type Work = keyof typeof DIALOGS;

/** What can be done with resources of a level. */
export function offered(resources: Resource[]): Work[] {
  const level = resources[0]?.Type;
  const isMany = resources.length > 1;
  return [
    "send",
    "anonymize",
    "modify",
    ...(isMany && level === "Study" ? (["merge"] as const) : []),
    ...(level === "Series" ? (["split"] as const) : []),
    ...(isMany ? (["labels"] as const) : []), // a single one has its labels on its page
    "remove",
  ];
}
