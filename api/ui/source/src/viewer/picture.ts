/** A pane as a file: what one sees of it, image, measurements and texts. */

/** Return a PNG of a pane's stage. */
export async function pictureOf(stage: HTMLElement): Promise<Blob> {
  const canvas = stage.querySelector("canvas");
  if (canvas === null) throw new Error("there is no image");
  const { width, height } = canvas;
  const made = document.createElement("canvas");
  Object.assign(made, { width, height });
  const context = made.getContext("2d");
  if (context === null) throw new Error("the browser cannot draw");
  context.drawImage(canvas, 0, 0);
  const scale = width / stage.clientWidth; // pixels of the screen in one of the page
  context.scale(scale, scale);
  const marks = stage.querySelector("svg.svg-layer");
  if (marks !== null) context.drawImage(await drawn(marks, stage), 0, 0, stage.clientWidth, stage.clientHeight);
  write(context, stage);
  return new Promise((resolve, reject) =>
    made.toBlob(
      (blob) => (blob === null ? reject(new Error("the browser made no picture")) : resolve(blob)),
      "image/png",
    ),
  );
}

async function drawn(marks: Element, stage: HTMLElement): Promise<HTMLImageElement> {
  const copy = marks.cloneNode(true) as SVGElement;
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", String(stage.clientWidth));
  copy.setAttribute("height", String(stage.clientHeight));
  const address = URL.createObjectURL(
    new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" }),
  );
  try {
    const image = new Image();
    image.src = address;
    await image.decode();
    return image;
  } finally {
    URL.revokeObjectURL(address);
  }
}

/** Write each text where it stands, and the scale. */
function write(context: CanvasRenderingContext2D, stage: HTMLElement): void {
  const { left, top } = stage.getBoundingClientRect();
  const scale = stage.querySelector("[data-scale]")?.getBoundingClientRect();
  if (scale !== undefined && scale.height > 0) {
    const [x, y] = [scale.left - left, scale.top - top];
    context.strokeStyle = getComputedStyle(stage.querySelector("[data-scale]") ?? stage).color;
    context.stroke(new Path2D(`M${x} ${y}h${scale.width}v${scale.height}h${-scale.width}`));
  }
  for (const text of stage.querySelectorAll<HTMLElement>("[data-text]")) {
    const box = text.getBoundingClientRect();
    const style = getComputedStyle(text);
    if (box.width === 0) continue;
    context.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    context.textBaseline = "middle";
    context.textAlign = style.textAlign === "right" ? "right" : "left";
    Object.assign(context, { fillStyle: style.color, shadowColor: "black", shadowBlur: 3 });
    const x = context.textAlign === "right" ? box.right : box.left;
    context.fillText(text.textContent.trim(), x - left, box.top + box.height / 2 - top, box.width);
  }
}

export function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // browsers read it after the click
}

/** Return a name for a file that says what it is and names nobody. */
export function fileName(parts: readonly (string | number)[], ending: string): string {
  const text = parts.map(String).filter(Boolean).join("-");
  return `${text.replace(/[^\p{L}\p{N}._-]+/gu, "-").slice(0, 80) || "image"}.${ending}`;
}
