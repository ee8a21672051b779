/** Short news for who uses the page, such as "Sent": shown for some seconds, and told to a reader of the screen. */

export interface Notice {
  id: number;
  text: string;
  isError: boolean;
}

const SHOWN_MS = 6_000;
let last = 0;

class Notices {
  all: Notice[] = $state([]);

  tell(text: string, isError = false): void {
    const id = ++last;
    this.all.push({ id, text, isError });
    if (!isError) setTimeout(() => this.drop(id), SHOWN_MS); // an error stays until somebody has read it
  }

  drop(id: number): void {
    this.all = this.all.filter((notice) => notice.id !== id);
  }
}

export const notices = new Notices();
