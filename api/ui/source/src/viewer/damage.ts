/**
 * Whether the pixels of a frame are whole. Decoders draw what they have: they fill what is missing, and where they give up without a word
 * the image before stays in their memory. So a frame that ends early is told before it is decoded.
 */

import { type Attributes } from "../api/images";
import { numberOf, TAGS, textOf } from "./attributes";

export type Damage = "short" | "headless";

const RLE = "1.2.840.10008.1.2.5";
const JPEG = /^1\.2\.840\.10008\.1\.2\.4\.(50|51|57|70)$/;
const JPEG_2000 = /^1\.2\.840\.10008\.1\.2\.4\.(90|91|201|202|203)$/;
const PLAIN = /^1\.2\.840\.10008\.1\.2(\.1|\.2)?$/;

/** Return what is wrong with a frame; null where nothing is seen to be. Damage within compressed values cannot be seen. */
export function damageOf(bytes: Uint8Array, syntax: string, attributes: Attributes): Damage | null {
  if (JPEG_2000.test(syntax)) return ofJpeg2000(bytes);
  if (JPEG.test(syntax)) return ofJpeg(bytes);
  if (syntax === RLE) return ofRle(bytes, attributes);
  return PLAIN.test(syntax) && bytes.length < plainLength(attributes) ? "short" : null;
}

/** Return a JPEG 2000 codestream with its last marker, without which the decoder refuses it; some encoders leave it out. */
export function ended(bytes: Uint8Array, syntax: string): Uint8Array {
  if (!JPEG_2000.test(syntax) || lastMarker(bytes) === 0xffd9) return bytes;
  const made = new Uint8Array(bytes.length + 2);
  made.set(bytes);
  made.set([0xff, 0xd9], bytes.length);
  return made;
}

/** Walk through the parts of a codestream, each of which says how long it is (ISO 15444-1 §A.4.2). */
function ofJpeg2000(bytes: Uint8Array): Damage | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const has = (at: number, count: number) => at + count <= bytes.length;
  if (has(0, 4) && view.getUint32(0) === 12) return null; // within boxes, which are no part of DICOM, yet are decoded
  if (!has(0, 2) || view.getUint16(0) !== 0xff4f) return "headless";
  const missing = new Map<number, number>(); // tile -> how many of its parts have not come, where it says how many it has
  for (let at = 2; has(at, 2);) {
    const marker = view.getUint16(at);
    if (marker === 0xffd9) return null;
    if (marker === 0xff90) {
      if (!has(at, 12)) return "short";
      const [tile, length, count] = [view.getUint16(at + 4), view.getUint32(at + 6), view.getUint8(at + 11)];
      if (length === 0) return lastMarker(bytes) === 0xffd9 ? null : "short"; // up to the end, wherever that is
      at += length;
      if (at > bytes.length) return "short";
      missing.set(tile, (missing.get(tile) ?? 0) + (missing.has(tile) ? 0 : count) - 1);
    } else if (missing.size > 0)
      break; // filled up behind its last part
    else if (!has(at, 4)) return "short";
    else at += 2 + view.getUint16(at + 2);
  }
  return missing.size > 0 && [...missing.values()].every((count) => count <= 0) ? null : "short";
}

function ofJpeg(bytes: Uint8Array): Damage | null {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return "headless";
  return lastMarker(bytes) === 0xffd9 ? null : "short";
}

/** Return the last two bytes, without those that fill up behind them. */
function lastMarker(bytes: Uint8Array): number {
  let end = bytes.length;
  while (end > 2 && !(bytes[end - 2] === 0xff && bytes[end - 1] === 0xd9) && [0, 0xff].includes(bytes[end - 1] ?? 1))
    end -= 1;
  return ((bytes[end - 2] ?? 0) << 8) | (bytes[end - 1] ?? 0);
}

/** Count what the runs of each segment yield (PS3.5 §G.3). */
function ofRle(bytes: Uint8Array, attributes: Attributes): Damage | null {
  if (bytes.length < 64) return "headless";
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = view.getUint32(0, true);
  if (count < 1 || count > 15) return "headless";
  const isBits = numberOf(attributes, TAGS.BitsAllocated) === 1;
  const wanted = Math.ceil(pixelCount(attributes) / (isBits ? 8 : 1));
  const starts = Array.from({ length: count }, (_, place) => view.getUint32(4 + 4 * place, true));
  const isWhole = starts.every((start, place) => runLength(bytes, start, starts[place + 1] ?? bytes.length) >= wanted);
  return isWhole ? null : "short";
}

function runLength(bytes: Uint8Array, start: number, end: number): number {
  let length = 0;
  for (let at = start; at < Math.min(end, bytes.length);) {
    const sign = bytes[at] ?? 0;
    const literal = sign < 128 ? Math.min(sign + 1, bytes.length - at - 1) : 1;
    if (sign !== 128) length += sign < 128 ? literal : 257 - sign;
    at += sign === 128 ? 1 : literal + 1;
  }
  return length;
}

function pixelCount(attributes: Attributes): number {
  return (numberOf(attributes, TAGS.Rows) ?? 0) * (numberOf(attributes, TAGS.Columns) ?? 0);
}

function plainLength(attributes: Attributes): number {
  const samples = numberOf(attributes, TAGS.SamplesPerPixel) ?? 1;
  const isHalved = textOf(attributes, TAGS.PhotometricInterpretation) === "YBR_FULL_422";
  const bits = pixelCount(attributes) * (isHalved ? 2 : samples) * (numberOf(attributes, TAGS.BitsAllocated) ?? 8);
  return Math.floor(bits / 8);
}
