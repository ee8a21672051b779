/**
 * The first page of the list and its count, asked for before there is a list: the answers come while the browser makes the page.
 * Whoever asks for the same first gets them.
 */

import { countFound, findPage, type Resource, type Search } from "../api/archive";
import { PAGE } from "../parts/place";

let asked = "";
let page: Promise<Resource[]> | null = null;
let counted: Promise<number> | null = null;

export function askAhead(search: Search): void {
  asked = JSON.stringify(search);
  page = findPage(search, 0, PAGE);
  counted = countFound(search);
  // Who takes a failure tells of it; a later list asks for itself.
  page.catch(() => (page = null));
  counted.catch(() => (counted = null));
}

export function find(search: Search, since: number, limit: number, signal?: AbortSignal): Promise<Resource[]> {
  const isAhead = since === 0 && limit === PAGE && JSON.stringify(search) === asked;
  const taken = isAhead ? page : null;
  if (isAhead) page = null;
  return taken ?? findPage(search, since, limit, signal);
}

export function count(search: Search, signal?: AbortSignal): Promise<number> {
  const taken = JSON.stringify(search) === asked ? counted : null;
  counted = null;
  return taken ?? countFound(search, signal);
}
