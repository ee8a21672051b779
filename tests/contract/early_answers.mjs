// Node's fetch against a server that answers before it has read a body: cases on standard input, what was read on standard output.
import { readFileSync } from "node:fs";

const url = process.argv[2];
const cases = JSON.parse(readFileSync(0, "utf8"));

function* pieces(bytes) {
  for (let start = 0; start < bytes; start += 65536) yield new Uint8Array(Math.min(65536, bytes - start));
}

function stream({ bytes, lateMs }) {
  const source = pieces(bytes);
  return new ReadableStream({
    start: () => new Promise((done) => setTimeout(done, lateMs)),
    pull(controller) {
      const { value, done } = source.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
  });
}

async function ask(one) {
  const body = one.chunked ? stream(one) : new Uint8Array(one.bytes);
  const answer = await fetch(`${url}/${one.status}`, { method: "POST", body, duplex: "half" });
  const text = await answer.text();
  const next = await fetch(`${url}/next`);
  return [answer.status, text, next.status, await next.text()];
}

const seen = [];
for (const one of cases) seen.push(await ask(one).catch((error) => [String(error), String(error.cause)]));
console.log(JSON.stringify(seen));
