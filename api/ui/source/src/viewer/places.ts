/** Where images are, by their identifiers: for what was measured in them, once other series are shown. */

export interface Place {
  series: string;
  name: string;
  number: number;
}

const known = new Map<string, Place>();

/** Note the images of a series in their order, under a name for people. */
export function note(imageIds: readonly string[], series: string, name: string): void {
  for (const [place, each] of imageIds.entries()) known.set(each, { series, name, number: place + 1 });
}

/** Return where an image is, if its series was shown since the page was loaded. */
export function placeOf(imageId: string): Place | undefined {
  return known.get(imageId);
}
