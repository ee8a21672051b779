/** Addresses of the page below `/ui/`, so that each view can be linked to, and the browser's way back works. */

export const BASE = "/ui";

class Router {
  path = $state(readPath());
  query = $state(new URLSearchParams(location.search));

  constructor() {
    addEventListener("popstate", () => this.read());
  }

  private read(): void {
    this.path = readPath();
    this.query = new URLSearchParams(location.search);
  }

  /** Show another view. `replaces`: without a step for the way back, as while somebody types a search. */
  go(path: string, replaces = false): void {
    history[replaces ? "replaceState" : "pushState"](null, "", BASE + path);
    this.read();
  }

  /** Change what the address says of the view that is shown, without a step for the way back. "" is left out. */
  narrow(changes: Record<string, string>): void {
    const query = new URLSearchParams(this.query);
    for (const [name, value] of Object.entries(changes))
      if (value === "") query.delete(name);
      else query.set(name, value);
    const text = query.toString();
    this.go(text ? `${this.path}?${text}` : this.path, true);
  }

  /** For onclick of links: a plain click stays within the page, any other is the browser's. */
  follow = (event: MouseEvent): void => {
    const link = (event.currentTarget as HTMLElement).closest("a");
    const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (link === null || !isPlain || link.target !== "") return;
    event.preventDefault();
    this.go(link.pathname.slice(BASE.length) + link.search);
  };
}

function readPath(): string {
  return location.pathname.slice(BASE.length).replace(/\/+$/, "") || "/";
}

export const router = new Router();

/** Return what a pattern such as `/studies/:id` names in a path, null where it does not fit. */
export function match(pattern: string, path: string): Record<string, string> | null {
  const wanted = pattern.split("/");
  const given = path.split("/");
  if (wanted.length !== given.length) return null;
  const named: Record<string, string> = {};
  for (const [place, part] of wanted.entries()) {
    const value = given[place] ?? "";
    if (part.startsWith(":")) named[part.slice(1)] = decodeURIComponent(value);
    else if (part !== value) return null;
  }
  return named;
}
