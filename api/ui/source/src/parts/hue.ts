/** Which of the colours of labels (`.hue0` to `.hue6` of base.css) a label has. */

export const HUES = 7;

export function hue(name: string): number {
  let sum = 0;
  for (const letter of name) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 104_729;
  return sum % HUES;
}
