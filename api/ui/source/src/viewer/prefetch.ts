/** Fetches the images around those that are shown, the nearest first, so that scrolling does not wait. */

const AT_ONCE = 3; // of all series; a browser has six connections to a server, and what somebody waits for needs some

export interface Source {
  count: number;
  /** Whether an image is here, or on its way to be shown. */
  has: (index: number) => boolean;
  load: (index: number) => Promise<unknown>;
}

/** All that want images now, in turn. */
const waiting: Prefetch[] = [];
let running = 0;

export class Prefetch {
  private aim = 0;
  private own = new Set<number>();
  private failed = new Set<number>();
  private isStopped = false;

  /** `radius`: how many images to each side, as memory is bounded. */
  constructor(
    private readonly source: Source,
    private radius: number,
  ) {}

  around(index: number, radius = this.radius): void {
    this.aim = index;
    this.radius = radius;
    this.leave();
    if (!this.isStopped) waiting.push(this);
    fill();
  }

  stop(): void {
    this.isStopped = true;
    this.leave();
  }

  private leave(): void {
    const place = waiting.indexOf(this);
    if (place >= 0) waiting.splice(place, 1);
  }

  /** Begin with the next image, if there is one. */
  begin(): boolean {
    const index = this.nearest();
    if (index === null) return false;
    this.own.add(index);
    running += 1;
    this.source
      .load(index)
      .catch(() => this.failed.add(index)) // told when it is to be shown
      .finally(() => {
        this.own.delete(index);
        running -= 1;
        this.around(this.aim);
      });
    return true;
  }

  private nearest(): number | null {
    for (let distance = 0; distance <= this.radius; distance += 1)
      for (const index of [this.aim + distance, this.aim - distance])
        if (index >= 0 && index < this.source.count && this.isMissing(index)) return index;
    return null;
  }

  private isMissing(index: number): boolean {
    return !this.failed.has(index) && !this.own.has(index) && !this.source.has(index);
  }
}

function fill(): void {
  while (running < AT_ONCE) {
    const next = waiting.shift();
    if (next === undefined) return;
    if (next.begin()) waiting.push(next); // behind the others; who has all leaves
  }
}
