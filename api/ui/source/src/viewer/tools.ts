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
};
const { MouseBindings } = tools.Enums;
type Binding = { mouseButton?: number; numTouchPoints?: number };
/** Beside the chosen tool: the middle button pans, the right one zooms, two fingers do both. */
const ALWAYS: Record<string, Binding[]> = {
  [tools.PanTool.toolName]: [{ mouseButton: MouseBindings.Auxiliary }],
  [DRAG_ZOOM]: [{ mouseButton: MouseBindings.Secondary }],
  [tools.ZoomTool.toolName]: [{ numTouchPoints: 2 }],
};

export class ToolBox {
  private readonly group = tools.ToolGroupManager.createToolGroup(GROUP);

  constructor(chosen: ToolName) {
    for (const name of Object.values(NAMES)) if (name !== DRAG_ZOOM) this.group?.addTool(name);
    this.group?.addTool(tools.ZoomTool.toolName);
    this.group?.addToolInstance(DRAG_ZOOM, tools.ZoomTool.toolName, { pinchToZoom: false });
    this.choose(chosen);
  }

  serve(viewport: string, engine: string): void {
    this.group?.addViewport(viewport, engine);
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
    const stats = Object.values((each.data as { cachedStats?: Record<string, unknown> }).cachedStats ?? {})[0];
    const imageId = each.metadata?.referencedImageId ?? "";
    if (kind === undefined || stats === undefined || each.annotationUID === undefined) return [];
    return [{ id: each.annotationUID, kind, imageId, lines: linesOf(stats as Record<string, unknown>) }];
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
  if (length !== null) return [length];
  if (typeof stats["angle"] === "number") return [`${round(stats["angle"])}°`];
  if (probed.length > 0) return [`${probed.join(", ")} ${textOr(stats["modalityUnit"])}`.trim()];
  return [
    ...named("⌀", amount("mean", "modalityUnit")),
    ...named("σ", amount("stdDev", "modalityUnit")),
    ...named("max", amount("max", "modalityUnit")),
    ...named("min", amount("min", "modalityUnit")),
    ...named("A", amount("area", "areaUnit")),
  ];
}

function round(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function textOr(value: unknown): string {
  return typeof value === "string" && value !== "raw" ? value : "";
}

/** Remove a measurement; without one that which was chosen last, else the latest. */
export function remove(measurement?: string): void {
  const id = measurement ?? tools.annotation.selection.getAnnotationsSelected().at(-1) ?? measurements().at(-1)?.id;
  if (id !== undefined) tools.annotation.state.removeAnnotation(id);
}

/** Call a listener whenever measurements change, until what is returned is called. */
export function onMeasured(listener: () => void): () => void {
  const { ANNOTATION_COMPLETED, ANNOTATION_MODIFIED, ANNOTATION_ADDED, ANNOTATION_REMOVED } = tools.Enums.Events;
  const events = [ANNOTATION_COMPLETED, ANNOTATION_MODIFIED, ANNOTATION_ADDED, ANNOTATION_REMOVED];
  for (const event of events) cornerstone.eventTarget.addEventListener(event, listener);
  return () => events.forEach((event) => cornerstone.eventTarget.removeEventListener(event, listener));
}
