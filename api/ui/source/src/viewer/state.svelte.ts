/** What a viewer shows of a study, and with which tool: its view draws it, and commands (`commands.ts`) change it. */

import { type Resource, valueOf } from "../api/archive";
import { router } from "../router.svelte";
import type { KeyboardMeasure } from "./keyboard_measure";
import { type Arrangement, read, write } from "./layouts";
import type { cornerstone } from "./library";
import { placeOf } from "./places";
import type { ToolName } from "./shortcuts";
import { Stack } from "./stack.svelte";
import type { Measurement, ToolBox } from "./tools";

export class ViewerState {
  readonly stacks = [new Stack(), new Stack(), new Stack(), new Stack()] as const;
  engine: cornerstone.RenderingEngine | null = $state.raw(null);
  toolbox: ToolBox | null = $state.raw(null);
  /** The viewer's element. */
  root: HTMLElement | undefined = $state();
  study: Resource | null = $state.raw(null);
  /** Its series. */
  all: Resource[] = $state.raw([]);
  measured: Measurement[] = $state.raw([]);

  // A finger on an image is expected to leaf through it, a mouse has a wheel for that.
  tool: ToolName = $state(matchMedia("(pointer: coarse)").matches ? "scroll" : "window");
  byKeyboard: KeyboardMeasure | null = null;
  active = $state(0);
  enlarged: number | null = $state(null);
  on = $state({ texts: true, together: false, lines: false, side: true, whole: false });
  opened: { dialog: "help" } | { dialog: "tags"; instance: string } | null = $state(null);

  readonly arrangement = $derived.by(() => read(router.query, this.series()));
  readonly shown = $derived(this.arrangement.shown);
  readonly current = $derived(this.active < this.shown.length ? this.active : 0);
  readonly stack = $derived(this.stacks[this.current] ?? this.stacks[0]);

  /** Measurements of what is looked at; those of other studies are there again with them. */
  readonly listed = $derived.by(() => {
    const studies = [this.study, ...this.stacks.map((each) => each.images?.study)]
      .filter((each) => each !== null && each !== undefined)
      .map((each) => `/studies/${valueOf(each, "StudyInstanceUID")}/`);
    return this.measured.filter(({ imageId }) => studies.some((part) => imageId.includes(part)));
  });

  /** `series` gives that of the address. */
  constructor(private readonly series: () => string) {
    for (const leader of this.stacks) leader.onmove = (by) => this.lead(leader, by);
  }

  private lead(leader: Stack, by: number): void {
    if (!this.on.together) return;
    for (const [place, other] of this.stacks.entries())
      if (other !== leader && this.shown[place]) other.follow(leader, by);
  }

  go(to: Arrangement): void {
    this.enlarged = null;
    const series = this.series();
    router.go(`/series/${series}/viewer${write(to, series)}`, true);
  }

  choose(id: string, place = this.current): void {
    this.active = place;
    this.go({ ...this.arrangement, shown: this.shown.map((each, at) => (at === place ? id : each)) });
  }

  /** Show where something was measured: in the pane that has its series, else in that which is chosen. */
  showMeasured({ imageId }: Measurement): void {
    if (this.stack.showImage(imageId) || this.stacks.some((each) => each.showImage(imageId))) return;
    const found = placeOf(imageId);
    if (found === undefined) return;
    this.stack.first = imageId;
    this.choose(found.series);
  }

  focusPane(): void {
    this.root?.querySelector<HTMLElement>(`[aria-describedby="pane-${this.current}-place"]`)?.focus();
  }
}
