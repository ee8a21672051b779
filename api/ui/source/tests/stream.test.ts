import { expect, test } from "vitest";

import { StreamReader } from "../src/api/feed";

const TEXT =
  'retry: 2000\n\nid: 7\nevent: study-created/1\ndata: {"Seq":7}\n\n: nothing\nid: 9\nevent: head\ndata: {"Head":9}\n\nid: 10\nevent: half';

test.each([1, 2, 3, 7, 1000])("messages are the same however the text is cut (%i)", (size) => {
  const reader = new StreamReader();
  const messages = [];
  for (let start = 0; start < TEXT.length; start += size)
    messages.push(...reader.take(TEXT.slice(start, start + size)));
  expect(messages).toEqual([
    { id: "7", event: "study-created/1", data: '{"Seq":7}' },
    { id: "9", event: "head", data: '{"Head":9}' },
  ]);
});
