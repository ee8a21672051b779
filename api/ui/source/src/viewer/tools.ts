/** The tools of mouse and finger: one is chosen, the others are at the buttons and fingers where people look for them. */

import { cornerstone, tools } from "./library";
import { TOOLS, type ToolName } from "./shortcuts";

const GROUP = "viewer";
const DRAG_ZOOM = "DragZoom"; // the library's own zooms by two fingers alone
const NAMES: Record<ToolName, string> = {
  scroll: tools.StackScrollTool.toolName,
  window: tools.WindowLevelTool.toolName,
  zoom: DRAG_ZOOM,
  pan: tools.PanTool.toolName,
  length: tools.LengthTool.toolName,
  angle: tools.AngleTool.toolName,
  rectangle: tools.RectangleROITool.toolName,
  ellipse: tools.EllipticalROITool.toolName,
  probe: tools.ProbeTool.toolName,
  bidirectional: tools.BidirectionalTool.toolName,
  cobb: tools.CobbAngleTool.toolName,
  circle: tools.CircleROITool.toolName,
  freehand: tools.PlanarFreehandROITool.toolName,
  arrow: tools.ArrowAnnotateTool.toolName,
  magnify: tools.MagnifyTool.toolName,
};
const LINES = tools.ReferenceLinesTool.toolName;
const { MouseBindings } = tools.Enums;
type Binding = { mouseButton?: number; numTouchPoints?: number };
/** Beside the chosen tool: the middle button pans, the right one zooms, two fingers do both. */
const ALWAYS: Record<string, Binding[]> = {
  [tools.PanTool.toolName]: [{ mouseButton: MouseBindings.Auxiliary }],
  [DRAG_ZOOM]: [{ mouseButton: MouseBindings.Secondary }],
  [tools.ZoomTool.toolName]: [{ numTouchPoints: 2 }],
};

/** Asks for the words beside an arrow; without any there is no arrow. */
export type AskText = (text: string, done: (text: string) => void) => void;

export class ToolBox {
  private readonly group = tools.ToolGroupManager.createToolGroup(GROUP);

  constructor(chosen: ToolName, askText: AskText) {
    const configured: Partial<Record<ToolName, object>> = {
      freehand: { calculateStats: true },
      magnify: { magnifySize: 5 },
      arrow: {
        getTextCallback: (done: (text: string) => void) => askText("", done),
        changeTextCallback: (data: { data?: { label?: string } }, _: unknown, done: (text: string) => void) =>
          askText(data.data?.label ?? "", done),
      },
    };
    for (const name of TOOLS) if (NAMES[name] !== DRAG_ZOOM) this.group?.addTool(NAMES[name], configured[name] ?? {});
    this.group?.addTool(tools.ZoomTool.toolName);
    this.group?.addTool(LINES);
    this.group?.addToolInstance(DRAG_ZOOM, tools.ZoomTool.toolName, { pinchToZoom: false, invert: true }); // up: larger
    this.choose(chosen);
  }

  serve(viewport: string, engine: string): void {
    this.group?.addViewport(viewport, engine);
  }

  /** Draw where the image of a viewport cuts those of the others; null: nowhere. */
  drawLines(source: string | null): void {
    if (source === null) return this.group?.setToolDisabled(LINES);
    this.group?.setToolConfiguration(LINES, { sourceViewportId: source });
    this.group?.setToolEnabled(LINES);
  }

  choose(chosen: ToolName): void {
    for (const name of TOOLS) this.group?.setToolPassive(NAMES[name], { removeAllBindings: true });
    const first: Binding[] = [{ mouseButton: MouseBindings.Primary }, { numTouchPoints: 1 }];
    for (const [name, bindings] of Object.entries(ALWAYS)) this.group?.setToolActive(name, { bindings });
    this.group?.setToolActive(NAMES[chosen], { bindings: [...first, ...(ALWAYS[NAMES[chosen]] ?? [])] });
  }

  destroy(): void {
    tools.ToolGroupManager.destroyToolGroup(GROUP);
  }
}

export interface Measurement {
  id: string;
  kind: ToolName;
  /** What was measured, a line each. */
  lines: string[];
  imageId: string;
}

export function toolName(kind: ToolName): string {
  return NAMES[kind];
}

const KINDS = Object.fromEntries(TOOLS.map((name) => [NAMES[name], name]));

/** Return all measurements, the latest last. */
export function measurements(): Measurement[] {
  return tools.annotation.state.getAllAnnotations().flatMap((each) => {
    const kind = KINDS[each.metadata?.toolName ?? ""];
    const { cachedStats = {}, label = "" } = each.data as { cachedStats?: Record<string, unknown>; label?: string };
    const stats = (Object.values(cachedStats)[0] ?? null) as Record<string, unknown> | null;
    const lines = kind === "arrow" ? [label].filter(Boolean) : stats === null ? [] : linesOf(stats);
    if (kind === undefined || lines.length === 0 || each.annotationUID === undefined) return [];
    return [{ id: each.annotationUID, kind, imageId: each.metadata?.referencedImageId ?? "", lines }];
  });
}

function linesOf(stats: Record<string, unknown>): string[] {
  const amount = (name: string, unit: string) => {
    const value = stats[name];
    return typeof value === "number" && Number.isFinite(value) ? `${round(value)} ${textOr(stats[unit])}`.trim() : null;
  };
  const named = (sign: string, text: string | null) => (text === null ? [] : [`${sign} ${text}`]);
  const length = amount("length", "unit");
  const value = Array.isArray(stats["value"]) ? stats["value"] : [stats["value"]];
  const probed = value.filter((each): each is number => typeof each === "number").map(round);
  const width = amount("width", "widthUnit") ?? amount("width", "unit");
  if (length !== null) return width === null ? [length] : [`${length} × ${width}`];
  if (typeof stats["angle"] === "number") return [`${round(stats["angle"])}°`];
  if (probed.length > 0) return [`${probed.join(", ")} ${textOr(stats["modalityUnit"])}`.trim()];
  return [
    ...named("⌀", amount("mean", "modalityUnit")),
    ...named("σ", amount("stdDev", "modalityUnit")),
    ...named("max", amount("max", "modalityUnit")),
    ...named("min", amount("min", "modalityUnit")),
    ...named("A", amount("area", "areaUnit")),
    ...named("r", amount("radius", "radiusUnit")),
  ];
}

/** As it stands beside what was measured. */
function round(value: number): string {
  return String(cornerstone.utilities.roundNumber(value));
}

function textOr(value: unknown): string {
  return typeof value === "string" && value !== "raw" ? value : "";
}

/** Remove a measurement; without one that which was chosen last, else the latest. */
export function remove(measurement?: string): void {
  const id = measurement ?? tools.annotation.selection.getAnnotationsSelected().at(-1) ?? measurements().at(-1)?.id;
  if (id !== undefined) tools.annotation.state.removeAnnotation(id);
}

/** Take back what was drawn, moved or changed last. */
export function undo(): void {
  cornerstone.utilities.HistoryMemo.DefaultHistoryMemo.undo();
}

/** Call a listener whenever measurements change, until what is returned is called. */
export function onMeasured(listener: () => void): () => void {
  const { ANNOTATION_COMPLETED, ANNOTATION_MODIFIED, ANNOTATION_ADDED, ANNOTATION_REMOVED } = tools.Enums.Events;
  const events = [ANNOTATION_COMPLETED, ANNOTATION_MODIFIED, ANNOTATION_ADDED, ANNOTATION_REMOVED];
  for (const event of events) cornerstone.eventTarget.addEventListener(event, listener);
  return () => events.forEach((event) => cornerstone.eventTarget.removeEventListener(event, listener));
}
