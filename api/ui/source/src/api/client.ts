/** Requests to the server. Every one says that the page makes it, so that the server takes its session and never asks for a password. */

/** What the server answers instead of what was asked for. */
export class RequestFailed extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly details = "",
  ) {
    super(message);
    this.name = "RequestFailed";
  }
}

/** The server cannot be reached. */
export class ServerAway extends Error {
  override name = "ServerAway";
}

/** Called where a request is refused for want of a session, so that the page can show its login. */
let onUnauthorized: () => void = () => undefined;

export function whenUnauthorized(listener: () => void): void {
  onUnauthorized = listener;
}

let wanted = new AbortController();

/** End what is being asked: who has logged out would be refused it. */
export function endRequests(): void {
  wanted.abort();
  wanted = new AbortController();
}

export interface Question {
  method?: "GET" | "POST" | "PUT" | "DELETE";
  /** An object leaves as JSON, anything else as it is. */
  body?: BodyInit | object;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
  /** "low" for what nobody waits for yet. */
  priority?: RequestPriority;
}

/** The header without which a session counts for nothing: pages of other hosts cannot set it. */
export const PAGE_HEADER = { "X-Sinogram-Page": "1" } as const;

export async function ask(path: string, question: Question = {}): Promise<Response> {
  const { method = "GET", body, headers = {}, signal, priority = "auto" } = question;
  const isPlain = body === undefined || typeof body === "string" || body instanceof Blob || body instanceof ArrayBuffer;
  const response = await reach(path, {
    method,
    headers: { ...PAGE_HEADER, ...headers },
    ...(body === undefined ? {} : { body: isPlain ? (body as BodyInit) : JSON.stringify(body) }),
    signal: signal ? AbortSignal.any([signal, wanted.signal]) : wanted.signal,
    credentials: "same-origin",
    priority,
  });
  if (response.status === 401) onUnauthorized();
  if (!response.ok) throw await failure(response);
  return response;
}

async function reach(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, init);
  } catch (error) {
    // A browser throws a TypeError where no answer has come, whatever the reason is.
    if (error instanceof TypeError) throw new ServerAway();
    throw error;
  }
}

async function failure(response: Response): Promise<RequestFailed> {
  const text = await response.text().catch(() => "");
  try {
    const told = JSON.parse(text) as { Message?: string; Details?: string };
    return new RequestFailed(response.status, told.Message ?? response.statusText, told.Details ?? "");
  } catch {
    return new RequestFailed(response.status, response.statusText || `HTTP ${response.status}`);
  }
}

export async function askJson<T>(path: string, question: Question = {}): Promise<T> {
  return (await (await ask(path, question)).json()) as T;
}
