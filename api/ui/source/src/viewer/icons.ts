/** Pictures of the toolbar: paths on a field of 24 by 24, drawn as lines. */

export const ICONS = {
  scroll: "M7 4h10v16H7zM12 8v8M9.5 10.5 12 8l2.5 2.5M9.5 13.5 12 16l2.5-2.5",
  window: "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18M12 7h5M12 11h8M12 15h7",
  zoom: "M10.5 4a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13M15.5 15.5 21 21M7.5 10.5h6M10.5 7.5v6",
  pan: "M12 3v18M3 12h18M9.5 5.5 12 3l2.5 2.5M9.5 18.5 12 21l2.5-2.5M5.5 9.5 3 12l2.5 2.5M18.5 9.5 21 12l-2.5 2.5",
  length: "M3 17 17 3l4 4L7 21zM7 13l2 2M10 10l3 3M13 7l2 2",
  angle: "M20 19H4L16 5M11 19a8 8 0 0 0-2.6-5.2",
  rectangle: "M4 6h16v12H4z",
  ellipse: "M12 6c5 0 9 2.700 9 6s-4 6-9 6s-9-2.700-9-6s4-6 9-6",
  probe: "M12 3v6M12 15v6M3 12h6M15 12h6M12 11.500v1",
  invert: "M4 4h16v16H4zM20 4 4 20M9 20 20 9M14 20l6-6M18 20l2-2",
  rotate: "M20 12a8 8 0 1 1-2.500-5.800L20 8M20 3v5h-5",
  flipAcross: "M12 3v18M9 7 3 17h6zM15 7l6 10h-6z",
  flipDown: "M3 12h18M7 9 17 3v6zM7 15l10 6v-6z",
  reset: "M4 12a8 8 0 1 0 2.500-5.800L4 8M4 3v5h5",
  play: "M7 4l13 8L7 20z",
  pause: "M8 4v16M16 4v16",
  texts: "M5 6V4h14v2M12 4v16M9 20h6",
  compare: "M3 5h8v14H3zM13 5h8v14h-8z",
  help: "M9 9a3 3 0 1 1 4.500 2.600c-1 .6-1.500 1.200-1.500 2.400M12 18v.5",
  remove: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v6M14 11v6",
} as const;

export type IconName = keyof typeof ICONS;
