import { flushSync, mount, unmount } from "svelte";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import type { Resource } from "../src/api/archive";
import Preview from "../src/work/Preview.svelte";

const study: Resource = { ID: "s", Type: "Study", MainDicomTags: {}, Labels: [] };
let answers: Record<string, () => Response> = {};
let shown: Record<string, unknown>;

beforeEach(() => {
  Element.prototype.scrollIntoView = () => undefined; // which jsdom has not
  vi.stubGlobal("fetch", (path: string) =>
    Promise.resolve((answers[path] ?? (() => new Response("", { status: 404 })))()),
  );
  const change = { Replace: {}, Remove: [], Keep: [], KeepSource: true };
  shown = mount(Preview, { target: document.body, props: { verb: "modify", resources: [study], change } });
  answers = { "/instances/i/modify/preview": () => Response.json({ Before: {}, After: {} }) };
});
afterEach(async () => {
  await unmount(shown);
  vi.unstubAllGlobals();
});

function press(words: string): void {
  [...document.querySelectorAll("button")].find(({ textContent }) => textContent?.includes(words))?.click();
  flushSync();
}
const shows = (words: string) => vi.waitFor(() => expect(document.body.textContent).toContain(words));

test("a study without an image is told", async () => {
  answers["/tools/find"] = () => Response.json([]);
  press("Show what changes");
  await shows("There is no image");
  expect(document.body.textContent).not.toContain("Loading");
});

test("images that could not be found are looked for again", async () => {
  answers["/tools/find"] = () => new Response("{}", { status: 503, statusText: "Busy" });
  press("Show what changes");
  await shows("Busy");
  answers["/tools/find"] = () => Response.json([{ ...study, ID: "i", Type: "Instance" }]);
  press("Try again");
  await shows("The original");
  expect(document.querySelector("a")?.getAttribute("href")).toBe("/ui/instances/i");
  expect(document.body.textContent).not.toContain("Busy");
});
