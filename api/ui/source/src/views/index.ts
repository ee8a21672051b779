/** All views: the address of each, and its code, which is loaded when it is shown first. */

import type { Component } from "svelte";

import type { Level } from "../api/archive";
import { match } from "../router.svelte";
import * as archive from "./Archive.svelte";

// Views are given what their address names, all text.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type View = { default: Component<any> };
type Load = () => Promise<View>;

const resource = () => import("./Resource.svelte");
const of = (level: Level): [Load, Record<string, string>] => [resource, { level }];

/** Address -> its code, and what is given to it beside what the address names. */
const VIEWS: Record<string, Load | [Load, Record<string, string>]> = {
  "/": () => Promise.resolve(archive), // the first view is part of what is loaded first
  "/patients/:id": of("Patient"),
  "/studies/:id": of("Study"),
  "/series/:id": of("Series"),
  "/instances/:id": of("Instance"),
  "/upload": () => import("./Upload.svelte"),
  "/remote": () => import("./Remote.svelte"),
  "/jobs": () => import("./Jobs.svelte"),
  "/commitments/:transaction": () => import("./Commitment.svelte"),
  "/events": () => import("./Events.svelte"),
  "/scripts": () => import("./Scripts.svelte"),
  "/system": () => import("./System.svelte"),
  "/studies/:id/viewer": () => import("./StudyViewer.svelte"),
  "/series/:series/viewer": () => import("./Viewer.svelte"),
};

export interface Found {
  load: Load;
  named: Record<string, string>;
}

export function findView(path: string): Found | null {
  for (const [pattern, view] of Object.entries(VIEWS)) {
    const named = match(pattern, path);
    if (named === null) continue;
    const [load, fixed] = Array.isArray(view) ? view : [view, {}];
    return { load, named: { ...named, ...fixed } };
  }
  return null;
}
