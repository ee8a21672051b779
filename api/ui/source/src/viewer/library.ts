/** cornerstone3D, with what it needs started once, and images by our own requests. */

import * as cornerstone from "@cornerstonejs/core";
import * as loader from "@cornerstonejs/dicom-image-loader";
import * as tools from "@cornerstonejs/tools";

import { type Attributes, completePalette, getFrame, PLAIN, type SeriesImages } from "../api/images";
import { t } from "../i18n/index.svelte";
import { numberOf, numbersOf, TAGS } from "./attributes";
import { damageOf, ended } from "./damage";
import type { Frame } from "./order";

const SCHEME = "wadors"; // that of the library, for its providers of metadata
const WORKERS = "dicomImageLoader";
/** Decoded images that are kept: those that were shown longest ago go first. A phone ends pages that take much. */
const CACHE_BYTES = (matchMedia("(max-width: 45rem)").matches ? 160 : 512) << 20;

const WEBGL_CONTEXTS = 2; // for up to four series side by side, and what magnifies

let started: Promise<void> | null = null;
/** What is left to be done by who has left the viewer. */
let leftover: Promise<unknown> = Promise.resolve();
let hasWorkers = false;
/** Ends the requests of images that nobody waits for any more. */
let leaving = new AbortController();
const pending = new Map<string, Promise<Image>>();

export type Image = cornerstone.Types.IImage;

export async function start(): Promise<void> {
  await leftover;
  await (started ??= startLibrary());
  if (!hasWorkers) startWorkers();
}

async function startLibrary(): Promise<void> {
  await cornerstone.init({ rendering: { webGlContextCount: WEBGL_CONTEXTS } } as never);
  loader.init({ maxWebWorkers: workerCount() });
  hasWorkers = true;
  tools.init();
  const { style } = tools.annotation.config;
  const styles = style.getDefaultToolStyles();
  const textBoxBackground = "rgb(0 0 0 / 60%)"; // bone is white
  style.setDefaultToolStyles({ ...styles, global: { ...styles.global, textBoxBackground } });
  for (const tool of [
    tools.StackScrollTool,
    tools.WindowLevelTool,
    tools.ZoomTool,
    tools.PanTool,
    tools.LengthTool,
    tools.AngleTool,
    tools.RectangleROITool,
    tools.EllipticalROITool,
    tools.ProbeTool,
    tools.BidirectionalTool,
    tools.CobbAngleTool,
    tools.CircleROITool,
    tools.PlanarFreehandROITool,
    tools.ArrowAnnotateTool,
    tools.MagnifyTool,
    tools.ReferenceLinesTool,
  ])
    tools.addTool(tool);
  cornerstone.cache.setMaxCacheSize(CACHE_BYTES);
  cornerstone.imageLoader.registerImageLoader(SCHEME, load as unknown as cornerstone.Types.ImageLoaderFn);
}

function workerCount(): number {
  return Math.max(1, Math.min(4, (navigator.hardwareConcurrency || 2) - 1));
}

/** Start workers again: of those that were ended the library itself starts one alone. */
function startWorkers(): void {
  const manager = cornerstone.getWebWorkerManager() as {
    workerRegistry: Record<string, { workerFn: () => Worker }>;
    registerWorker: (name: string, make: () => Worker, options: object) => void;
  };
  const make = manager.workerRegistry[WORKERS]?.workerFn;
  if (make) manager.registerWorker(WORKERS, make, { maxWorkerInstances: workerCount(), overwrite: true });
  hasWorkers = true;
}

/** Images that somebody wants to see although they are damaged. */
const tolerated = new Set<string>();

/** The pixels of a frame are damaged, which somebody may want to see for all that. */
export class Damaged extends Error {
  override name = "Damaged";
}

/** Requests are ours, so that they have the session, can be ended, and tell their errors in the server's words. */
function load(imageId: string, options: Record<string, unknown> = {}): { promise: Promise<unknown> } {
  const { signal } = leaving;
  const made = async () => {
    const attributes = loader.wadors.metaDataManager.get(imageId) as Attributes | undefined;
    if (attributes) await completePalette(attributes, signal);
    const priority = options["isAhead"] === true ? "low" : "high";
    const { bytes, transferSyntax } = await getFrame(imageId.slice(SCHEME.length + 1), signal, priority);
    const damage = damageOf(bytes, transferSyntax, attributes ?? {});
    if (damage !== null && !tolerated.has(imageId)) throw new Damaged(t(`viewer.damage.${damage}`));
    const image = await loader
      .createImage(imageId, pixelsOf(bytes, transferSyntax, attributes ?? {}) as never, transferSyntax, {
        ...options,
        useRGBA: false, // as a stack wants it, also where an image is fetched before it is shown
      })
      .catch((error: unknown) => {
        const reason = error instanceof Error ? error.message : ""; // some codecs throw mere numbers
        throw new Error(t("viewer.undecodable", { syntax: transferSyntax, reason }), { cause: error });
      });
    return Object.assign(image, { imageQualityStatus: cornerstone.Enums.ImageQualityStatus.FULL_RESOLUTION });
  };
  return { promise: made() };
}

/** Return pixels as the library takes them: with the end that a codec wants, and a byte for each bit of a segmentation (PS3.5 §8.1.1). */
function pixelsOf(bytes: Uint8Array, syntax: string, attributes: Attributes): Uint8Array {
  if (numberOf(attributes, TAGS.BitsAllocated) !== 1 || syntax !== PLAIN) return ended(bytes, syntax);
  const count = (numberOf(attributes, TAGS.Rows) ?? 0) * (numberOf(attributes, TAGS.Columns) ?? 0);
  return Uint8Array.from({ length: count }, (_, place) => ((bytes[place >> 3] ?? 0) >> (place & 7)) & 1);
}

/** Return the identifiers of frames, about which the library knows all from here on. */
export function register(images: SeriesImages, frames: readonly Frame[]): string[] {
  return frames.map(({ attributes, instance, number }) => {
    const id = `${SCHEME}:${location.origin}${images.address}/instances/${instance}/frames/${number}`;
    // Pixels without a size, as some digitizers write them, would be drawn on no area at all.
    for (const tag of [TAGS.PixelSpacing, TAGS.ImagerPixelSpacing])
      if (
        attributes[tag] &&
        !(numbersOf(attributes, tag).length === 2 && numbersOf(attributes, tag).every((mm) => mm > 0))
      )
        attributes[tag] = { vr: "DS" };
    loader.wadors.metaDataManager.add(id, attributes as never);
    return id;
  });
}

/** Return an image, fetched if it is not here. The library's own way leaves errors to nobody. `isAhead`: nobody waits for it yet. */
export function loadImage(imageId: string, isAhead = false): Promise<Image> {
  const kept = cornerstone.cache.getImage(imageId);
  if (kept !== undefined) return Promise.resolve(kept);
  const found = pending.get(imageId) ?? fetchImage(imageId, isAhead).finally(() => pending.delete(imageId));
  pending.set(imageId, found);
  return found;
}

async function fetchImage(imageId: string, isAhead: boolean): Promise<Image> {
  const image = (await cornerstone.imageLoader.loadImage(imageId, { isAhead } as never)) as Image;
  await cornerstone.cache.putImageLoadObject(imageId, { promise: Promise.resolve(image) });
  return image;
}

/** From here on an image is drawn as far as it goes. */
export function tolerate(imageId: string): void {
  tolerated.add(imageId);
}

export function isTolerated(imageId: string): boolean {
  return tolerated.has(imageId);
}

export function isHere(imageId: string): boolean {
  return cornerstone.cache.getImage(imageId) !== undefined;
}

/** Tell whether an image is here, or on its way. */
export function isLoading(imageId: string): boolean {
  return pending.has(imageId) || cornerstone.cache.getImageLoadObject(imageId) !== undefined;
}

/** Give views the size that their elements have, each zoomed, moved and turned as it was. */
export function resize(engine: cornerstone.RenderingEngine): void {
  const viewports = engine.getViewports() as cornerstone.Types.IStackViewport[];
  const kept = viewports.map((viewport) => ({ viewport, presentation: viewport.getViewPresentation() }));
  engine.resize(true, false);
  for (const { viewport, presentation } of kept) viewport.setViewPresentation(presentation);
  engine.render();
}

/** Give back what series have taken: pixels, what is known of them, and the workers once they have nothing to do. Measurements stay. */
export function release(): void {
  leaving.abort();
  leaving = new AbortController();
  tolerated.clear();
  leftover = Promise.allSettled([...pending.values()]).then(() => {
    cornerstone.cache.purgeCache();
    loader.wadors.metaDataManager.purge();
    cornerstone.getWebWorkerManager().terminate(WORKERS);
    hasWorkers = false;
  });
}

export { CACHE_BYTES, cornerstone, tools };
