// Why something was not done: what the server said of it, or that there was no answer.

/** How the server calls what went wrong (`invalid`, `unauthenticated`, `not-found`…), or one of ours for no answer. */
export type ErrorCode = "timeout" | "unreachable" | "full" | (string & {});

export interface ErrorFacts {
  /** Status of HTTP; 0 where there was no answer. */
  status: number;
  code: ErrorCode;
  detail: string;
  field?: string | undefined;
  retryAfterMs?: number | undefined;
  cause?: unknown;
}

/** A problem of the server (RFC 9457), or of the way to it. It never holds the key. */
export class MainstayError extends Error {
  override readonly name = "MainstayError";
  readonly status: number;
  readonly code: ErrorCode;
  /** What is wrong, in a sentence. */
  readonly detail: string;
  /** Which part of what was sent is wrong, where one is. */
  readonly field: string | undefined;
  /** How long the server asks to be left alone, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor({ status, code, detail, field, retryAfterMs, cause }: ErrorFacts) {
    super(status === 0 ? detail : `${detail} (${status})`, cause === undefined ? {} : { cause });
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.field = field;
    this.retryAfterMs = retryAfterMs;
  }

  /** Whether the same may succeed later. */
  get isTransient(): boolean {
    return this.status === 0 ? this.code !== "full" : [408, 429, 502, 503, 504].includes(this.status);
  }
}

function textOf(value: unknown, name: string): string | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const text = (value as Record<string, unknown>)[name];
  return typeof text === "string" ? text : undefined;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Seconds, or a date (RFC 9110, section 10.2.3). */
function retryAfter(value: string | null): number | undefined {
  if (value === null) return undefined;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

/** The error of an answer that is none of success. */
export async function errorOf(response: Response): Promise<MainstayError> {
  const { status, headers } = response;
  const body = parse(await response.text().catch(() => ""));
  const isElsewhere = status >= 300 && status < 400;
  return new MainstayError({
    status,
    code: textOf(body, "type")?.split(":").at(-1) ?? "http",
    detail: isElsewhere
      ? "The address leads elsewhere: `url` is to be the one that it leads to"
      : (textOf(body, "detail") ?? textOf(body, "title") ?? "This is no answer of Mainstay's: `url` is to be the address of its site"),
    field: textOf(body, "field"),
    retryAfterMs: retryAfter(headers.get("retry-after")),
  });
}
