import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { askJson } from "../src/api/client";
import { session } from "../src/api/session.svelte";

const replace = vi.fn();
/** What the server answers to a method. */
let answers: Record<string, () => Response> = {};

beforeEach(() => {
  answers = { DELETE: () => Response.json({}) };
  replace.mockReset();
  vi.stubGlobal("location", { replace });
  vi.stubGlobal("fetch", (_path: string, { method }: RequestInit) => Promise.resolve(answers[method ?? "GET"]?.()));
});
afterEach(() => {
  vi.unstubAllGlobals();
  session.now = null;
});

function logIn(User: string): Promise<void> {
  answers.POST = () => Response.json({ User, AuthenticationEnabled: true, DicomWebRoot: null });
  return session.login(User, "x");
}

async function lose(): Promise<void> {
  answers.GET = () => new Response("{}", { status: 401 });
  await expect(askJson("/studies")).rejects.toThrow();
  expect(session.isIn).toBe(false);
}

test("who has to log in again goes on with the page as it was, and another one begins with a new page", async () => {
  await logIn("anna");
  await lose();
  await logIn("anna");
  expect(session.now?.User).toBe("anna");
  expect(replace).not.toHaveBeenCalled();
  await lose();
  await logIn("bert");
  expect(replace.mock.calls).toEqual([["/ui/"]]);
  expect(session.isIn).toBe(false); // until it is there
});

test("who logs out leaves nothing behind", async () => {
  await logIn("anna");
  await session.logout();
  expect(replace.mock.calls).toEqual([["/ui/"]]);
});

test("who could not be logged out is told so, and goes on", async () => {
  await logIn("anna");
  answers.DELETE = () => new Response("{}", { status: 503 });
  await expect(session.logout()).rejects.toThrow();
  expect([session.isIn, session.isAsked]).toEqual([true, true]);
  expect(replace).not.toHaveBeenCalled();
});
