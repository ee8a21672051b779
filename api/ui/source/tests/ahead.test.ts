import { beforeEach, expect, test, vi } from "vitest";

import type { Search } from "../src/api/archive";
import { askAhead, count, find } from "../src/archive/ahead";
import { PAGE } from "../src/parts/place";

const search = (sort: string): Search => ({
  Level: "Study",
  Query: {},
  OrderBy: [{ Type: "DicomTag", Key: sort, Direction: "ASC" }],
});

let asked: string[] = [];
let status = 200;

beforeEach(() => {
  [asked, status] = [[], 200];
  vi.stubGlobal("fetch", (path: string) => {
    asked.push(path);
    const body = path.endsWith("count-resources") ? { Count: asked.length } : [{ ID: `${asked.length}` }];
    return Promise.resolve(new Response(JSON.stringify(body), { status }));
  });
});

test("what was asked ahead is not asked again, and is given once", async () => {
  askAhead(search("StudyDate"));
  expect(asked).toEqual(["/tools/find", "/tools/count-resources"]);
  expect([await find(search("StudyDate"), 0, PAGE), await count(search("StudyDate"))]).toEqual([[{ ID: "1" }], 2]);
  expect(asked.length).toBe(2);
  expect([await find(search("StudyDate"), 0, PAGE), await count(search("StudyDate"))]).toEqual([[{ ID: "3" }], 4]);
});

test("another search, or another page, is another question", async () => {
  askAhead(search("StudyDate"));
  expect([await find(search("PatientName"), 0, PAGE), await count(search("PatientName"))]).toEqual([[{ ID: "3" }], 4]);
  expect(await find(search("StudyDate"), PAGE, PAGE)).toEqual([{ ID: "5" }]);
});

test("a failure is told to the list that takes it, and no later one", async () => {
  status = 503;
  askAhead(search("StudyDate"));
  await expect(find(search("StudyDate"), 0, PAGE)).rejects.toMatchObject({ status: 503 });
  await expect(count(search("StudyDate"))).rejects.toMatchObject({ status: 503 });
  askAhead(search("StudyDate"));
  await new Promise((resolve) => setTimeout(resolve)); // nobody has taken them
  [asked, status] = [[], 200];
  expect([await find(search("StudyDate"), 0, PAGE), await count(search("StudyDate"))]).toEqual([[{ ID: "1" }], 2]);
});
