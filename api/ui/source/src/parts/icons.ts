/** Pictures of small buttons: paths on a field of 24 by 24, drawn as lines. */

export const ICONS = {
  view: "M2.5 12S6 5.500 12 5.500 21.500 12 21.500 12 18 18.500 12 18.500 2.500 12 2.500 12zM12 9a3 3 0 1 0 0 6a3 3 0 0 0 0-6",
  download: "M12 4v11M7 10.500l5 5 5-5M4 20h16",
  send: "M4 12 20 4l-5 16-3.500-6.500zM11.500 13.500 20 4",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  unfold: "M9 5l7 7-7 7",
  upload: "M12 16V5M7 9.500l5-5 5 5M4 20h16",
} as const;

export type IconName = keyof typeof ICONS;
