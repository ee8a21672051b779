/** How a viewport looks at its image: near or far, moved, turned; and what of the patient is where on the screen. */

import type { cornerstone } from "./library";
import { directionLetters } from "./order";
import type { ActionName } from "./shortcuts";

export type Viewport = cornerstone.Types.IStackViewport;

const ZOOM_STEP = 1.2;
const PAN_STEP_PX = 24;
const SCALE_SHARE = 0.3; // of a viewport's height, at most

/** Letters of the patient's directions. */
export interface Sides {
  left: string;
  right: string;
  top: string;
  bottom: string;
}
export const NO_SIDES: Sides = { left: "", right: "", top: "", bottom: "" };

/** A length of the patient, as long as it is on the screen. */
export interface Scale {
  pixels: number;
  name: string;
}

export function zoomBy(viewport: Viewport, steps: number): void {
  viewport.setZoom(viewport.getZoom() * ZOOM_STEP ** steps);
  viewport.render();
}

export function panBy(viewport: Viewport, across: number, down: number): void {
  const [x, y] = viewport.getPan();
  viewport.setPan([x + across * PAN_STEP_PX, y + down * PAN_STEP_PX]);
  viewport.render();
}

export function act(viewport: Viewport, name: ActionName): void {
  const { flipHorizontal = false, flipVertical = false } = viewport.getCamera();
  const turned = viewport.getViewPresentation().rotation ?? 0;
  switch (name) {
    case "invert":
      return viewport.setProperties({ invert: !viewport.getProperties().invert });
    case "rotate":
      return viewport.setViewPresentation({ rotation: (turned + 90) % 360 });
    case "flipAcross":
      return viewport.setCamera({ flipHorizontal: !flipHorizontal });
    case "flipDown":
      return viewport.setCamera({ flipVertical: !flipVertical });
    case "reset":
      viewport.resetProperties();
      viewport.resetCamera();
  }
}

/** Return which directions lie where, of an image that says how it lies in the patient. */
export function sidesOf(viewport: Viewport): Sides {
  const { viewUp: up = [0, 0, 0], viewPlaneNormal: normal = [0, 0, 0] } = viewport.getCamera();
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

/** Return how many pixels of the screen are one of the image. */
export function zoomOf(viewport: Viewport): number {
  return perMmOf(viewport) * (viewport.getImageData().spacing[1] ?? NaN);
}

/** Return a round length that is well seen. */
export function scaleOf(viewport: Viewport): Scale | null {
  const perMm = perMmOf(viewport);
  const most = (viewport.element.clientHeight * SCALE_SHARE) / perMm;
  const mm = [200, 100, 50, 20, 10, 5, 2, 1].find((each) => each <= most);
  if (mm === undefined || !Number.isFinite(perMm)) return null;
  return { pixels: Math.round(mm * perMm), name: mm >= 10 ? `${mm / 10} cm` : `${mm} mm` };
}

/** Pixels of the screen. */
function perMmOf(viewport: Viewport): number {
  return viewport.element.clientHeight / (2 * (viewport.getCamera().parallelScale ?? NaN));
}
