/** The viewer of a series: cornerstone3D, with what it needs started once. */

import * as cornerstone from "@cornerstonejs/core";
import * as loader from "@cornerstonejs/dicom-image-loader";
import * as tools from "@cornerstonejs/tools";

let started: Promise<void> | null = null;

export function start(): Promise<void> {
  started ??= (async () => {
    await cornerstone.init();
    loader.init({ maxWebWorkers: Math.max(1, Math.min(4, (navigator.hardwareConcurrency || 2) - 1)) });
    tools.init();
    for (const tool of [tools.WindowLevelTool, tools.ZoomTool, tools.PanTool, tools.StackScrollTool, tools.LengthTool])
      tools.addTool(tool);
  })();
  return started;
}

export { cornerstone, loader, tools };
