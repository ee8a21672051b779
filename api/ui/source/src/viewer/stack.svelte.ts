/** One series that is shown: which image, through which window, turned how; and what of it is here. */

import { getSeriesImages, type SeriesImages } from "../api/images";
import { CACHE_BYTES, cornerstone, type Image, isLoading, loadImage, register } from "./library";
import { TAGS } from "./attributes";
import { directionLetters, type Frame, framesInOrder, playRate } from "./order";
import { Prefetch } from "./prefetch";
import type { ActionName } from "./shortcuts";
import { toRange, toWindow, type Window } from "./windows";

type Viewport = cornerstone.Types.IStackViewport;
const { Events } = cornerstone.Enums;
const ZOOM_STEP = 1.2;
const PAN_STEP_PX = 24;
/** Of what may be kept, for one of two series side by side; as much again lies behind. */
const SHARE = 0.35;

const NO_SIDES = { left: "", right: "", top: "", bottom: "" };

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
  /** The window that the image itself wants. */
  stored: Window | null = $state(null);
  zoom = $state(1);
  /** Letters of the patient's directions to the left, right, top and bottom. */
  sides = $state(NO_SIDES);
  isInverted = $state(false);
  isPlaying = $state(false);
  rate = $state(10);

  viewport: Viewport | null = null;
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

  attach(viewport: Viewport): void {
    this.viewport = viewport;
    const { element } = viewport;
    element.addEventListener(Events.VOI_MODIFIED, () => this.read());
    element.addEventListener(Events.CAMERA_MODIFIED, () => this.read());
    element.addEventListener(Events.STACK_VIEWPORT_SCROLL, (event) => {
      void this.show((event as CustomEvent<{ newImageIdIndex: number }>).detail.newImageIdIndex);
    });
  }

  /** Show another series. */
  async open(id: string): Promise<void> {
    this.close();
    const { signal } = (this.leaving = new AbortController());
    Object.assign(this, { images: null, frames: [], index: 0, drawn: -1, loaded: 0, failure: null, failures: {} });
    try {
      const images = await getSeriesImages(id, signal);
      this.images = images;
      this.frames = framesInOrder(images.instances);
      this.imageIds = register(images, this.frames);
      const { imageIds } = this;
      const source = {
        count: imageIds.length,
        has: (index: number) => isLoading(imageIds[index] ?? ""),
        load: (index: number) => this.load(imageIds, index),
      };
      this.prefetch = new Prefetch(source, 1);
      if (this.frames[0]) this.rate = playRate(this.frames[0].attributes);
      await this.show(0);
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

  private async load(imageIds: string[], index: number): Promise<Image> {
    const id = imageIds[index] ?? "";
    const isNew = !isLoading(id);
    const image = await loadImage(id);
    if (isNew && imageIds === this.imageIds) this.loaded = Math.min(this.count, this.loaded + 1);
    return image;
  }

  /** Show an image as soon as it is here, unless another is asked for before. */
  async show(index: number): Promise<void> {
    const { imageIds, viewport } = this;
    if (viewport === null || imageIds.length === 0) return;
    const wanted = Math.min(imageIds.length - 1, Math.max(0, index));
    const isWanted = () => this.index === wanted && this.imageIds === imageIds;
    this.index = wanted;
    try {
      const image = await this.load(imageIds, wanted);
      if (!isWanted()) return;
      const radius = Math.floor((CACHE_BYTES * SHARE) / Math.max(1, image.sizeInBytes) / 2);
      this.prefetch?.around(wanted, radius);
      if (this.drawn < 0) await viewport.setStack(imageIds, wanted);
      else await viewport.setImageIdIndex(wanted);
      if (!isWanted()) return;
      const { [wanted]: _, ...others } = this.failures;
      this.failures = others;
      if (this.drawn < 0) viewport.resetCamera();
      this.drawn = wanted;
      viewport.render();
      this.read();
    } catch (error) {
      if (!isWanted() || this.leaving.signal.aborted) return;
      this.failures = { ...this.failures, [wanted]: error };
      this.prefetch?.around(wanted);
    }
  }

  /** Show the image of which something was measured, if it is of this series. */
  showImage(id: string): boolean {
    const index = this.imageIds.indexOf(id);
    if (index >= 0) void this.show(index);
    return index >= 0;
  }

  step(by: number): Promise<void> {
    return this.show(this.index + by);
  }

  setWindow(window: Window | null): void {
    const { viewport } = this;
    if (viewport === null || this.drawn < 0) return;
    const wanted = window ?? this.stored;
    if (wanted !== null) viewport.setProperties({ voiRange: toRange(wanted) });
    viewport.render();
    this.read();
  }

  zoomBy(steps: number): void {
    this.viewport?.setZoom(this.viewport.getZoom() * ZOOM_STEP ** steps);
    this.viewport?.render();
  }

  panBy(across: number, down: number): void {
    const [x, y] = this.viewport?.getPan() ?? [0, 0];
    this.viewport?.setPan([x + across * PAN_STEP_PX, y + down * PAN_STEP_PX]);
    this.viewport?.render();
  }

  act(name: ActionName): void {
    const { viewport } = this;
    if (viewport === null || this.drawn < 0) return;
    const { flipHorizontal = false, flipVertical = false } = viewport.getCamera();
    const turned = viewport.getViewPresentation().rotation ?? 0;
    switch (name) {
      case "invert":
        viewport.setProperties({ invert: !viewport.getProperties().invert });
        break;
      case "rotate":
        viewport.setViewPresentation({ rotation: (turned + 90) % 360 });
        break;
      case "flipAcross":
        viewport.setCamera({ flipHorizontal: !flipHorizontal });
        break;
      case "flipDown":
        viewport.setCamera({ flipVertical: !flipVertical });
        break;
      case "reset":
        viewport.resetProperties();
        viewport.resetCamera();
    }
    viewport.render();
    this.read();
  }

  /** Show one image after another, each as soon as it is here. */
  play(): void {
    if (this.isPlaying || this.count < 2) return;
    this.isPlaying = true;
    const next = async () => {
      const due = performance.now() + 1000 / this.rate;
      await this.show((this.index + 1) % this.count);
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
    const { voiRange, invert } = viewport.getProperties();
    const { windowCenter, windowWidth } = viewport.getCornerstoneImage();
    this.stored = { center: firstOf(windowCenter), width: firstOf(windowWidth) };
    this.window = voiRange ? toWindow(voiRange) : null;
    this.isInverted = invert ?? false;
    this.zoom = viewport.getZoom();
    this.sides = this.readSides(viewport);
  }

  private readSides(viewport: Viewport): typeof this.sides {
    const { viewUp: up = [0, 0, 0], viewPlaneNormal: normal = [0, 0, 0] } = viewport.getCamera();
    if (this.frame?.attributes[TAGS.ImageOrientationPatient] === undefined) return NO_SIDES; // the library would guess
    const right = [
      up[1] * normal[2] - up[2] * normal[1],
      up[2] * normal[0] - up[0] * normal[2],
      up[0] * normal[1] - up[1] * normal[0],
    ];
    const opposite = (direction: readonly number[]) => direction.map((value) => -value);
    return {
      left: directionLetters(opposite(right)),
      right: directionLetters(right),
      top: directionLetters(up),
      bottom: directionLetters(opposite(up)),
    };
  }
}

function firstOf(value: number | number[]): number {
  return Array.isArray(value) ? (value[0] ?? 0) : value;
}
