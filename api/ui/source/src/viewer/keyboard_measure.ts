/** Measuring without a mouse: a measurement is laid on the middle of the image, and keys move one of its ends, then the other. */

import { cornerstone, tools } from "./library";
import type { ToolName } from "./shortcuts";
import { toolName } from "./tools";

type Point = [number, number];
const STEP_PX = 4;
const HALF_PX = 60;

export function canMeasure(kind: ToolName): boolean {
  return ["length", "bidirectional", "angle", "rectangle", "ellipse", "circle", "probe"].includes(kind);
}

export class KeyboardMeasure {
  private readonly id = cornerstone.utilities.uuidv4();
  private ends: [Point, Point];
  private moved: 0 | 1 = 1;

  constructor(
    private readonly viewport: cornerstone.Types.IStackViewport,
    private readonly kind: ToolName,
  ) {
    const { clientWidth, clientHeight } = viewport.element;
    const [x, y] = [clientWidth / 2, clientHeight / 2];
    this.ends = [
      [x - HALF_PX, y - HALF_PX],
      [x + HALF_PX, y + HALF_PX],
    ];
    if (kind === "length" || kind === "bidirectional")
      this.ends = [
        [x - HALF_PX, y],
        [x + HALF_PX, y],
      ];
    if (kind === "probe") this.ends[1] = [x, y];
    this.draw();
  }

  /** From here on the other end is moved. */
  swap(): void {
    this.moved = this.moved === 1 ? 0 : 1;
  }

  move(across: number, down: number): void {
    const [x, y] = this.ends[this.moved];
    this.ends[this.moved] = [x + across * STEP_PX, y + down * STEP_PX];
    this.draw();
  }

  /** Tell whether it is still there: somebody may have removed it. */
  get isThere(): boolean {
    return tools.annotation.state.getAnnotation(this.id) !== undefined;
  }

  private points(): Point[] {
    const [[x1, y1], [x2, y2]] = this.ends;
    const [x, y] = [(x1 + x2) / 2, (y1 + y2) / 2];
    switch (this.kind) {
      case "angle": // from the one end over the corner below it to the other
        return [this.ends[0], [x1, y2], this.ends[1]];
      case "rectangle":
        return [this.ends[0], [x2, y1], [x1, y2], this.ends[1]];
      case "ellipse": // bottom, top, left, right
        return [
          [x, Math.max(y1, y2)],
          [x, Math.min(y1, y2)],
          [Math.min(x1, x2), y],
          [Math.max(x1, x2), y],
        ];
      case "circle": // its middle, and a point of its rim
        return [[x, y], this.ends[1]];
      case "bidirectional": // across the length half of it
        return [...this.ends, [x + (y2 - y1) / 4, y - (x2 - x1) / 4], [x - (y2 - y1) / 4, y + (x2 - x1) / 4]];
      case "probe":
        return [this.ends[this.moved]];
      default:
        return this.ends;
    }
  }

  private draw(): void {
    const { viewport } = this;
    const { state } = tools.annotation;
    if (this.isThere) state.removeAnnotation(this.id);
    const points = this.points().map((point) => viewport.canvasToWorld(point));
    const corner: cornerstone.Types.Point3 = [0, 0, 0];
    const made = {
      annotationUID: this.id,
      highlighted: false,
      invalidated: true,
      isLocked: false,
      isVisible: true,
      data: {
        label: "",
        cachedStats: {},
        handles: {
          points,
          activeHandleIndex: null,
          textBox: {
            hasMoved: false,
            worldPosition: corner,
            worldBoundingBox: { topLeft: corner, topRight: corner, bottomLeft: corner, bottomRight: corner },
          },
        },
      },
      metadata: {
        ...viewport.getViewReference(),
        toolName: toolName(this.kind),
        referencedImageId: viewport.getCurrentImageId(),
      },
    };
    state.addAnnotation(made as unknown as tools.Types.Annotation, viewport.element);
    tools.utilities.triggerAnnotationRenderForViewportIds([viewport.id]);
  }
}
