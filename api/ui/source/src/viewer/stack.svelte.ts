/** One series that is shown: which image, through which window, turned how; and what of it is here. */

import { valueOf } from "../api/archive";
import { getSeriesImages, type SeriesImages } from "../api/images";
import { hasSize, numberOf, TAGS } from "./attributes";
import * as camera from "./camera";
import {
  CACHE_BYTES,
  cornerstone,
  type Image,
  isHere,
  isLoading,
  isTolerated,
  loadImage,
  register,
  tolerate,
} from "./library";
import { type Frame, framesInOrder, nearest, playRate } from "./order";
import { note } from "./places";
import { Prefetch } from "./prefetch";
import type { ActionName } from "./shortcuts";
import { storedWindows, toRange, toWindow, type Window, windowOf } from "./windows";

const { Events } = cornerstone.Enums;
/** Of what may be kept, for all series side by side; the rest lies behind. */
const SHARE = 0.7;
const WAITED_FOR = 2; // requests for images to be shown: who drags through a series does not ask for each

export class Stack {
  images: SeriesImages | null = $state.raw(null);
  frames: Frame[] = $state.raw([]);
  index = $state(0);
  /** The image that is drawn, which follows the one that is asked for. */
  drawn = $state(-1);
  /** How many images are here. */
  loaded = $state(0);
  /** What keeps the whole series from being shown. */
  failure: unknown = $state(null);
  /** What keeps single images from it. */
  failures: Record<number, unknown> = $state({});
  window: Window | null = $state(null);
  /** The window that the image itself wants, or one made of its values where it wants none. */
  stored: Window | null = $state(null);
  zoom = $state(1);
  /** null where pixels have no size. */
  scale: camera.Scale | null = $state(null);
  sides = $state(camera.NO_SIDES);
  isInverted = $state(false);
  /** What is drawn is known to be damaged. */
  isDamaged = $state(false);
  isPlaying = $state(false);
  rate = $state(10);

  viewport: camera.Viewport | null = null;
  /** Called where somebody has gone on by some images. */
  onmove: (by: number) => void = () => undefined;
  /** The image to begin with, if it is of the series that is opened next. */
  first = "";
  private made: Window | null = null;
  private waiting = 0;
  private share = 1;
  private imageIds: string[] = [];
  private prefetch: Prefetch | null = null;
  private leaving = new AbortController();
  private timer = 0;

  get count(): number {
    return this.frames.length;
  }

  get frame(): Frame | null {
    return this.frames[this.index] ?? null;
  }

  /** The image that is shown, or to be shown. */
  get imageId(): string {
    return this.imageIds[this.index] ?? "";
  }

  attach(viewport: camera.Viewport): void {
    this.viewport = viewport;
    const { element } = viewport;
    element.addEventListener(Events.VOI_MODIFIED, () => this.read());
    element.addEventListener(Events.CAMERA_MODIFIED, () => this.read());
    element.addEventListener(Events.STACK_VIEWPORT_SCROLL, (event) => {
      void this.goTo((event as CustomEvent<{ newImageIdIndex: number }>).detail.newImageIdIndex);
    });
  }

  /** Show another series, with which `share` others stand side by side. */
  async open(id: string, share = 1): Promise<void> {
    this.close();
    const { signal } = (this.leaving = new AbortController());
    this.share = share;
    Object.assign(this, { images: null, frames: [], index: 0, drawn: -1, loaded: 0, failure: null, failures: {} });
    Object.assign(this, { made: null, window: null, stored: null, sides: camera.NO_SIDES, waiting: 0 });
    try {
      const images = await getSeriesImages(id, signal);
      this.images = images;
      this.frames = framesInOrder(images.instances);
      this.imageIds = register(images, this.frames);
      const name = [valueOf(images.series, "SeriesNumber"), valueOf(images.series, "SeriesDescription")];
      note(this.imageIds, id, name.filter(Boolean).join(" · "));
      const { imageIds } = this;
      const source = {
        count: imageIds.length,
        has: (index: number) => isLoading(imageIds[index] ?? ""),
        load: (index: number) => this.load(imageIds, index, true),
      };
      this.prefetch = new Prefetch(source, 1);
      if (this.frames[0]) this.rate = playRate(this.frames[0].attributes);
      const first = this.imageIds.indexOf(this.first);
      this.first = "";
      await this.show(Math.max(0, first));
    } catch (error) {
      if (!signal.aborted) this.failure = error;
    }
  }

  close(): void {
    this.pause();
    this.leaving.abort();
    this.prefetch?.stop();
    this.prefetch = null;
    this.imageIds = [];
  }

  private async load(imageIds: string[], index: number, isAhead = false): Promise<Image> {
    const id = imageIds[index] ?? "";
    const isNew = !isLoading(id);
    const image = await loadImage(id, isAhead);
    if (isNew && imageIds === this.imageIds) this.loaded = Math.min(this.count, this.loaded + 1);
    return image;
  }

  /** Show an image as soon as it is here, unless another is asked for before. */
  async show(index: number): Promise<void> {
    const { imageIds, viewport } = this;
    if (viewport === null || imageIds.length === 0) return;
    const wanted = Math.min(imageIds.length - 1, Math.max(0, index));
    this.index = wanted;
    if (!isHere(imageIds[wanted] ?? "")) {
      if (this.waiting >= WAITED_FOR) return; // whoever comes back shows what is wanted by then
      this.waiting += 1;
      await this.load(imageIds, wanted).catch(() => undefined); // it is told below
      if (this.imageIds !== imageIds) return;
      this.waiting -= 1;
      if (this.index !== wanted) return this.show(this.index);
    }
    const isWanted = () => this.index === wanted && this.imageIds === imageIds;
    try {
      const image = await this.load(imageIds, wanted);
      if (!isWanted()) return;
      const radius = Math.floor((CACHE_BYTES * SHARE) / this.share / Math.max(1, image.sizeInBytes) / 2);
      this.prefetch?.around(wanted, radius);
      if (this.drawn < 0) await viewport.setStack(imageIds, wanted);
      else await viewport.setImageIdIndex(wanted);
      if (!isWanted()) return;
      const { [wanted]: _, ...others } = this.failures;
      this.failures = others;
      if (this.drawn < 0) this.begin(viewport, image);
      this.drawn = wanted;
      viewport.render();
      this.read();
    } catch (error) {
      if (!isWanted() || this.leaving.signal.aborted) return;
      this.failures = { ...this.failures, [wanted]: error };
      this.prefetch?.around(wanted);
    }
  }

  /** A series whose images want no window has one for all, so that it does not flicker. */
  private begin(viewport: camera.Viewport, image: Image): void {
    viewport.resetCamera();
    const { attributes } = this.frames[this.index] ?? {};
    if (attributes === undefined || image.color || storedWindows(attributes).length > 0) return;
    const isBits = numberOf(attributes, TAGS.BitsAllocated) === 1;
    this.made = isBits ? toWindow({ lower: 0, upper: 1 }) : windowOf(image.getPixelData());
    if (this.made !== null) viewport.setProperties({ voiRange: toRange(this.made) });
  }

  /** Draw an image as far as it goes, although it is damaged. */
  showDamaged(): void {
    tolerate(this.imageId);
    void this.show(this.index);
  }

  /** Show the image of which something was measured, if it is of this series. */
  showImage(id: string): boolean {
    const index = this.imageIds.indexOf(id);
    if (index >= 0) void this.show(index);
    return index >= 0;
  }

  step(by: number): Promise<void> {
    return this.goTo(this.index + by);
  }

  /** Show an image, and let series that are led go along. */
  goTo(index: number): Promise<void> {
    const before = this.index;
    const done = this.show(index);
    if (this.index !== before) this.onmove(this.index - before);
    return done;
  }

  /** Show what lies where another series is; where nothing tells, go on by as many images. */
  follow(leader: Stack, by: number): void {
    const place = leader.frame === null ? null : nearest(this.frames, leader.frame);
    if (place !== "across") void this.show(place ?? this.index + by);
  }

  /** "values": one that shows nearly all values of the image. */
  setWindow(window: Window | "values" | null): void {
    const { viewport } = this;
    if (viewport === null || this.drawn < 0 || this.window === null) return;
    const made = window === "values" ? windowOf(viewport.getCornerstoneImage().getPixelData()) : window;
    const wanted = made ?? this.stored;
    if (wanted !== null) viewport.setProperties({ voiRange: toRange(wanted) });
    viewport.render();
    this.read();
  }

  zoomBy(steps: number): void {
    if (this.viewport !== null) camera.zoomBy(this.viewport, steps);
  }

  panBy(across: number, down: number): void {
    if (this.viewport !== null) camera.panBy(this.viewport, across, down);
  }

  act(name: ActionName): void {
    const { viewport } = this;
    if (viewport === null || this.drawn < 0) return;
    camera.act(viewport, name);
    if (name === "reset" && this.made !== null) viewport.setProperties({ voiRange: toRange(this.made) });
    viewport.render();
    this.read();
  }

  /** Show one image after another, each as soon as it is here. */
  play(): void {
    if (this.isPlaying || this.count < 2) return;
    this.isPlaying = true;
    const next = async () => {
      const due = performance.now() + 1000 / this.rate;
      await this.goTo((this.index + 1) % this.count);
      if (this.isPlaying) this.timer = window.setTimeout(next, Math.max(0, due - performance.now()));
    };
    this.timer = window.setTimeout(next, 1000 / this.rate);
  }

  pause(): void {
    this.isPlaying = false;
    clearTimeout(this.timer);
  }

  /** Read what tools may have changed. */
  private read(): void {
    const { viewport } = this;
    if (viewport === null || this.drawn < 0) return;
    this.isDamaged = isTolerated(this.imageIds[this.drawn] ?? "");
    const { voiRange, invert } = viewport.getProperties();
    const { windowCenter, windowWidth } = viewport.getCornerstoneImage();
    this.stored = this.made ?? { center: firstOf(windowCenter), width: firstOf(windowWidth) };
    this.window = voiRange && !viewport.getCornerstoneImage().color ? toWindow(voiRange) : null;
    this.isInverted = (invert ?? false) !== viewport.getCornerstoneImage().invert;
    this.zoom = camera.zoomOf(viewport);
    this.scale = this.frame !== null && hasSize(this.frame.attributes) ? camera.scaleOf(viewport) : null;
    const isPlaced = this.frame?.attributes[TAGS.ImageOrientationPatient] !== undefined; // else the library would guess
    this.sides = isPlaced ? camera.sidesOf(viewport) : camera.NO_SIDES;
  }
}

function firstOf(value: number | number[]): number {
  return Array.isArray(value) ? (value[0] ?? 0) : value;
}
