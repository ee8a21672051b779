/** What the viewer does when a key (`shortcuts.ts`) or its toolbar says so. */

import { valueOf } from "../api/archive";
import { findInstance } from "../api/images";
import { notices } from "../parts/notices.svelte";
import { wordsOf } from "../parts/tell";
import { router } from "../router.svelte";
import { TAGS, textOf } from "./attributes";
import { canMeasure, KeyboardMeasure } from "./keyboard_measure";
import { arrange } from "./layouts";
import { fileName, pictureOf, save } from "./picture";
import type { Command } from "./shortcuts";
import type { ViewerState } from "./state.svelte";
import { remove, undo } from "./tools";
import { CT_WINDOWS, stepped } from "./windows";

export function run(viewer: ViewerState, command: Command): void {
  const { stack } = viewer;
  switch (command.does) {
    case "tool":
      viewer.tool = command.name;
      viewer.byKeyboard = null;
      return viewer.toolbox?.choose(command.name);
    case "action":
      return stack.act(command.name);
    case "step":
      stack.pause();
      return void stack.step(command.by);
    case "goTo":
      stack.pause();
      return void stack.goTo(command.end === "first" ? 0 : stack.count - 1);
    case "adjust":
      return adjust(viewer, command.across, command.down);
    case "zoom":
      return stack.zoomBy(command.by);
    case "window":
      return stack.setWindow(typeof command.place === "number" ? (CT_WINDOWS[command.place] ?? null) : command.place);
    case "series": {
      const next = viewer.all[viewer.all.findIndex((each) => each.ID === viewer.shown[viewer.current]) + command.by];
      return next === undefined ? undefined : viewer.choose(next.ID);
    }
    case "play":
      return stack.isPlaying ? stack.pause() : stack.play();
    case "layout":
      return viewer.go(
        arrange(
          viewer.arrangement,
          command.name,
          viewer.current,
          viewer.all.map((each) => each.ID),
        ),
      );
    case "compare":
      run(viewer, { does: "layout", name: viewer.shown.length > 1 ? "1x1" : "1x2" });
      viewer.active = viewer.shown.length > 1 ? 1 : 0;
      return;
    case "texts":
    case "together":
    case "lines":
    case "side":
      viewer.on[command.does] = !viewer.on[command.does];
      return;
    case "whole":
      return void (document.fullscreenElement === null ? viewer.root?.requestFullscreen() : document.exitFullscreen());
    case "clear":
      return remove();
    case "undo":
      return undo();
    case "leave":
      return leave(viewer);
    case "help":
      viewer.opened = { dialog: "help" };
      return;
    case "tags":
      return void openTags(viewer);
    case "save":
      return void keep(viewer);
    case "measure":
      return measure(viewer);
  }
}

/** Move by keys what the chosen tool moves. */
function adjust(viewer: ViewerState, across: number, down: number): void {
  const { tool, stack } = viewer;
  if (canMeasure(tool) && viewer.byKeyboard?.isThere) return viewer.byKeyboard.move(across, down);
  if (tool === "pan") return stack.panBy(across, down);
  if (tool === "zoom") return stack.zoomBy(across - down);
  if (tool === "scroll") return void stack.step(across + down);
  if (stack.window !== null) stack.setWindow(stepped(stack.window, down, across));
}

function measure(viewer: ViewerState): void {
  const { stack } = viewer;
  if (viewer.byKeyboard?.isThere) return viewer.byKeyboard.swap();
  if (stack.viewport === null || stack.drawn < 0) return;
  if (!canMeasure(viewer.tool)) run(viewer, { does: "tool", name: "length" });
  viewer.byKeyboard = new KeyboardMeasure(stack.viewport, viewer.tool);
}

async function openTags(viewer: ViewerState): Promise<void> {
  const { frame } = viewer.stack;
  if (frame === null) return;
  try {
    const instance = await findInstance(textOf(frame.attributes, TAGS.SOPInstanceUID));
    if (instance !== null) viewer.opened = { dialog: "tags", instance };
  } catch (error) {
    notices.tell(wordsOf(error), true);
  }
}

/** Keep what is seen of a pane as a picture. */
async function keep(viewer: ViewerState): Promise<void> {
  const { stack } = viewer;
  const stage = viewer.root?.querySelector<HTMLElement>(`#stage-${viewer.current}`);
  const { images } = stack;
  if (!stage || images === null) return;
  const parts = ["Modality", "SeriesNumber", "SeriesDescription"].map((name) => valueOf(images.series, name));
  try {
    save(await pictureOf(stage), fileName([...parts, stack.index + 1], "png"));
  } catch (error) {
    notices.tell(wordsOf(error), true);
  }
}

/** One series of several that has all the room gives it back first. */
function leave(viewer: ViewerState): void {
  if (viewer.enlarged !== null) viewer.enlarged = null;
  else if (viewer.study !== null && document.fullscreenElement === null) router.go(`/studies/${viewer.study.ID}`);
}
