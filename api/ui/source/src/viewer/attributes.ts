/** Values of datasets as DICOMweb writes them. */

import type { Attributes } from "../api/images";

export const TAGS = {
  SOPClassUID: "00080016",
  SOPInstanceUID: "00080018",
  Modality: "00080060",
  FrameTime: "00181063",
  CineRate: "00180040",
  RecommendedDisplayFrameRate: "00082144",
  SliceThickness: "00180050",
  SliceLocation: "00201041",
  InstanceNumber: "00200013",
  ImagePositionPatient: "00200032",
  ImageOrientationPatient: "00200037",
  NumberOfFrames: "00280008",
  Rows: "00280010",
  Columns: "00280011",
  SamplesPerPixel: "00280002",
  PhotometricInterpretation: "00280004",
  BitsAllocated: "00280100",
  PixelSpacing: "00280030",
  ImagerPixelSpacing: "00181164",
  WindowCenter: "00281050",
  WindowWidth: "00281051",
  WindowExplanation: "00281055",
  FrameOfReferenceUID: "00200052",
  LossyImageCompression: "00282110",
} as const;

export function textOf(attributes: Attributes, tag: string): string {
  const value = attributes[tag]?.Value?.[0];
  if (typeof value === "object" && value !== null) return String((value as { Alphabetic?: string }).Alphabetic ?? "");
  return value === undefined || value === null ? "" : String(value);
}

/** Return the numbers of an attribute; what is no number is left out. */
export function numbersOf(attributes: Attributes, tag: string): number[] {
  return (attributes[tag]?.Value ?? []).map(Number).filter(Number.isFinite);
}

export function numberOf(attributes: Attributes, tag: string): number | null {
  return numbersOf(attributes, tag)[0] ?? null;
}

/** Tell whether the pixels of an image have a size in the patient, or at least on the detector. */
export function hasSize(attributes: Attributes): boolean {
  return [TAGS.PixelSpacing, TAGS.ImagerPixelSpacing].some((tag) => numbersOf(attributes, tag).length === 2);
}
