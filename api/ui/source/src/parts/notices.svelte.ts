/** Short news for who uses the page, such as "Sent": shown for some seconds, and told to a reader of the screen. */

export interface Notice {
  id: number;
  text: string;
  isError: boolean;
  /** Where more is told, and what stands on the way there. */
  link?: { path: string; text: string };
  stays?: boolean;
  /** Of what goes on, in percent. */
  progress?: number;
}

const SHOWN_MS = 6_000;
const WITH_LINK_MS = 15_000; // long enough to get there by keyboard
const MOST_STAYING = 4;
let last = 0;

class Notices {
  all: Notice[] = $state([]);

  tell(text: string, isError = false, link?: Notice["link"]): void {
    this.show({ id: ++last, text, isError, ...(link ? { link } : {}) });
  }

  /** Tell of what goes on. Such a notice stays until `end` says what came of it, or somebody has dropped it. */
  begin(text: string, link: NonNullable<Notice["link"]>): number {
    const id = ++last;
    this.all.push({ id, text, isError: false, link, progress: 0 });
    return id;
  }

  progress(id: number, percent: number): void {
    const notice = this.all.find((one) => one.id === id);
    if (notice !== undefined) notice.progress = percent;
  }

  end(id: number, text: string, isError: boolean, link?: Notice["link"]): void {
    this.drop(id);
    this.tell(text, isError, link);
  }

  /** As `end`, with the way to what was made: it stays until somebody has closed it, or many more have come. */
  endWith(id: number, text: string, link: NonNullable<Notice["link"]>): void {
    this.drop(id);
    this.all.push({ id: ++last, text, isError: false, link, stays: true });
    const staying = this.all.filter((notice) => notice.stays);
    for (const old of staying.slice(0, -MOST_STAYING)) this.drop(old.id);
  }

  private show(notice: Notice): void {
    this.all.push(notice);
    if (notice.isError) return; // it stays until somebody has read it
    setTimeout(() => this.drop(notice.id), notice.link ? WITH_LINK_MS : SHOWN_MS);
  }

  drop(id: number): void {
    this.all = this.all.filter((notice) => notice.id !== id);
  }
}

export const notices = new Notices();
