/**
 * Small pictures for lists. They are fetched some at a time, so that the list's own requests find a connection: a browser has six.
 * Those that were shown lately are there at once, so that nothing flickers when a list is scrolled back.
 */

import { PATHS, type Resource, valueOf } from "../api/archive";
import { ask } from "../api/client";

const AT_ONCE = 2;
const MOST_KEPT = 400; // 2 MB

/** The address of a picture for an <img>, or null where there is nothing to be seen. */
export type Picture = string | null;

export class Thumbnails {
  private readonly kept = new Map<string, Picture>();
  private readonly waiting: (() => void)[] = [];
  private running = 0;

  constructor(private readonly fetchBlob = download) {}

  peek(key: string): Picture | undefined {
    return this.kept.get(key);
  }

  /** Fetch the picture of an address, which is kept under a key. Rejects once `signal` is aborted, and as `ask`. */
  async load(address: string, key: string, signal: AbortSignal): Promise<Picture> {
    const known = this.kept.get(key);
    if (known !== undefined) return known;
    if (this.running >= AT_ONCE) await this.turn(signal);
    else this.running += 1;
    try {
      signal.throwIfAborted();
      const blob = await this.fetchBlob(address, signal);
      return this.keep(key, blob === null ? null : URL.createObjectURL(blob));
    } finally {
      const next = this.waiting.shift();
      if (next === undefined) this.running -= 1;
      else next();
    }
  }

  /** Wait for the turn of somebody else, which is handed over; who has gone out of sight waits no longer. */
  private turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const take = () => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      const leave = () => {
        this.waiting.splice(this.waiting.indexOf(take), 1);
        reject(signal.reason as Error);
      };
      this.waiting.push(take);
      signal.addEventListener("abort", leave, { once: true });
    });
  }

  private keep(key: string, picture: Picture): Picture {
    this.kept.set(key, picture);
    for (const [oldest, url] of this.kept) {
      if (this.kept.size <= MOST_KEPT) break;
      this.kept.delete(oldest);
      if (url !== null) URL.revokeObjectURL(url);
    }
    return picture;
  }
}

async function download(address: string, signal: AbortSignal): Promise<Blob | null> {
  const response = await ask(address, { signal });
  return response.status === 204 ? null : response.blob();
}

/** Where the picture of a resource is, of so many pixels, and the key that it is kept under, which is another once it may look otherwise. */
export function pictureOf(resource: Resource, size: number): { address: string; key: string } {
  const address = `/${PATHS[resource.Type]}/${resource.ID}/thumbnail?size=${size}`;
  const { FileUuid = "", LastUpdate = "" } = resource; // an instance that is overwritten has another file
  return {
    address,
    key: [address, FileUuid, LastUpdate, valueOf(resource, "NumberOfStudyRelatedInstances")].join(" "),
  };
}

export const thumbnails = new Thumbnails();
