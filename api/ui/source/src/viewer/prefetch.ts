/** Fetches the images around that which is shown, the nearest first, so that scrolling does not wait. */

const AT_ONCE = 3; // a browser has six connections to a server; what somebody waits for needs one

export interface Source {
  count: number;
  /** Whether an image is here, or on its way to be shown. */
  has: (index: number) => boolean;
  load: (index: number) => Promise<unknown>;
}

export class Prefetch {
  private aim = 0;
  private running = new Set<number>();
  private isStopped = false;
  private failed = new Set<number>();

  /** `radius`: how many images to each side, as memory is bounded. */
  constructor(
    private readonly source: Source,
    private radius: number,
  ) {}

  around(index: number, radius = this.radius): void {
    this.aim = index;
    this.radius = radius;
    while (this.running.size < AT_ONCE && this.next());
  }

  stop(): void {
    this.isStopped = true;
  }

  private next(): boolean {
    const index = this.isStopped ? null : this.nearest();
    if (index === null) return false;
    this.running.add(index);
    this.source
      .load(index)
      .catch(() => this.failed.add(index)) // told when it is to be shown
      .finally(() => {
        this.running.delete(index);
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
    return !this.failed.has(index) && !this.running.has(index) && !this.source.has(index);
  }
}
