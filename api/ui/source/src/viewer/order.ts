/** Which image of a series comes after which. */

import type { Attributes } from "../api/images";
import { numberOf, numbersOf, TAGS, textOf } from "./attributes";

export interface Frame {
  attributes: Attributes;
  instance: string;
  /** Of its instance, from 1. */
  number: number;
}

type Vector = [number, number, number];
const SAME = 1e-3; // of direction cosines, and of millimetres

/**
 * Return the frames of those instances that are images. Slices of one stack go by their position, in the direction in which
 * their numbers rise; where positions tell no order, as in a localizer or a series over time, they go by number.
 */
export function framesInOrder(instances: readonly Attributes[]): Frame[] {
  const images = instances.filter((each) => numberOf(each, TAGS.Rows) !== null);
  return (byPosition(images) ?? byNumber(images)).flatMap((attributes) => {
    const count = Math.max(1, numberOf(attributes, TAGS.NumberOfFrames) ?? 1);
    const instance = textOf(attributes, TAGS.SOPInstanceUID);
    return Array.from({ length: count }, (_, place) => ({ attributes, instance, number: place + 1 }));
  });
}

/**
 * Return which of some frames lies where another does, in the same patient's coordinates; "across" where they cut it,
 * null where nothing tells.
 */
export function nearest(frames: readonly Frame[], to: Frame): number | "across" | null {
  const normal = normalOf(to.attributes);
  const place = textOf(to.attributes, TAGS.FrameOfReferenceUID);
  if (normal === null) return null;
  let best: { index: number; distance: number } | null = null;
  for (const [index, frame] of frames.entries()) {
    const own = normalOf(frame.attributes);
    if (own === null) return null;
    if (Math.abs(dot(own, normal)) < 1 - SAME) return "across";
    const isSame = place !== "" && textOf(frame.attributes, TAGS.FrameOfReferenceUID) === place;
    const distance = isSame ? Math.abs(along(frame, normal) - along(to, normal)) : NaN;
    if (Number.isNaN(distance)) return null;
    if (best === null || distance < best.distance) best = { index, distance };
  }
  return best?.index ?? null;
}

function along(frame: Frame, normal: Vector): number {
  const position = numbersOf(frame.attributes, TAGS.ImagePositionPatient);
  return position.length === 3 ? dot(position as Vector, normal) : NaN;
}

function byNumber(images: readonly Attributes[]): Attributes[] {
  const numbered = images.map((image) => ({
    image,
    number: numberOf(image, TAGS.InstanceNumber) ?? Infinity,
    uid: textOf(image, TAGS.SOPInstanceUID),
  }));
  numbered.sort((a, b) => (a.number === b.number ? (a.uid < b.uid ? -1 : 1) : a.number - b.number));
  return numbered.map((each) => each.image);
}

/** Return the images along the normal of their plane; null where they are not parallel, or two lie in one place. */
function byPosition(images: readonly Attributes[]): Attributes[] | null {
  const normal = normalOf(images[0]);
  if (normal === null) return null;
  const placed: { image: Attributes; at: number }[] = [];
  for (const image of images) {
    const own = normalOf(image);
    const position = numbersOf(image, TAGS.ImagePositionPatient);
    if (own === null || position.length !== 3 || dot(own, normal) < 1 - SAME) return null;
    placed.push({ image, at: dot(position as Vector, normal) });
  }
  placed.sort((a, b) => a.at - b.at);
  if (placed.some((each, place) => place > 0 && each.at - (placed[place - 1]?.at ?? 0) < SAME)) return null;
  const numbers = placed.map((each) => numberOf(each.image, TAGS.InstanceNumber) ?? 0);
  if ((numbers[0] ?? 0) > (numbers.at(-1) ?? 0)) placed.reverse();
  return placed.map((each) => each.image);
}

function normalOf(image: Attributes | undefined): Vector | null {
  const cosines = image === undefined ? [] : numbersOf(image, TAGS.ImageOrientationPatient);
  if (cosines.length !== 6) return null;
  const [ax, ay, az, bx, by, bz] = cosines as [number, number, number, number, number, number];
  return [ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx];
}

function dot(a: Vector, b: Vector): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/** Return the letters of a direction in the patient (left, posterior, head …), the strongest first. */
export function directionLetters(direction: readonly number[]): string {
  const names = ["LR", "PA", "HF"];
  return direction
    .map((value, axis) => ({ size: Math.abs(value), letter: names[axis]?.[value > 0 ? 0 : 1] ?? "" }))
    .filter((each) => each.size > 0.25) // some degrees aside are no second letter
    .sort((a, b) => b.size - a.size)
    .map((each) => each.letter)
    .join("");
}

/** Return how many images a second a series is to be played with: as it says itself, within what a screen shows. */
export function playRate(attributes: Attributes): number {
  const time = numberOf(attributes, TAGS.FrameTime);
  const said =
    numberOf(attributes, TAGS.RecommendedDisplayFrameRate) ??
    numberOf(attributes, TAGS.CineRate) ??
    (time === null || time <= 0 ? 10 : 1000 / time);
  return Math.min(60, Math.max(1, Math.round(said)));
}
