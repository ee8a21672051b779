/** All views: the address of each, and its code, which is loaded when it is shown first. */

import type { Component } from "svelte";

import { match } from "../router.svelte";
import * as archive from "./Archive.svelte";

// Views are given what their address names, all text.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type View = { default: Component<any> };

const VIEWS: Record<string, () => Promise<View>> = {
  "/": () => Promise.resolve(archive), // the first view is part of what is loaded first
  "/series/:series/viewer": () => import("./Viewer.svelte"),
};

export interface Found {
  load: () => Promise<View>;
  named: Record<string, string>;
}

export function findView(path: string): Found | null {
  for (const [pattern, load] of Object.entries(VIEWS)) {
    const named = match(pattern, path);
    if (named !== null) return { load, named };
  }
  return null;
}
