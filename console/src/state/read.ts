// One bounded read of the API: all pages of a list, or why not. Knows paths and problems, not panels.
import { isPage, parseJson, problemText, type Page } from "../wire";
import { leave, SESSION_ENDED } from "./session";

/** The server's own bound on rows per answer. */
const LIMIT = "1000";
/** More pages than any chart here needs; a cursor that never ends stops here. */
const PAGES_MAX = 5;

export interface List<Row> {
  rows: Row[];
  asOf: string;
}

/** A read that failed, with the sentence to show. */
export class ReadError extends Error {}

/** The sentence to show of whatever ended a read. */
export function failureOf(error: unknown): string {
  return error instanceof ReadError ? error.message : "the server did not answer";
}

async function fetchPage(path: string, query: Record<string, string>, stop: AbortSignal): Promise<unknown> {
  const answer = await fetch(`${path}?${new URLSearchParams(query).toString()}`, {
    signal: stop,
    headers: { accept: "application/json" },
  });
  const body = parseJson(await answer.text());
  if (answer.ok) return body;
  if (answer.status === 401) leave(SESSION_ENDED);
  throw new ReadError(problemText(body) ?? `the server answered ${answer.status}`);
}

async function fetchList<Row>(path: string, query: Record<string, string>, stop: AbortSignal): Promise<Page<Row>> {
  const body = await fetchPage(path, query, stop);
  if (!isPage(body)) throw new ReadError("the answer is not a list");
  return body as Page<Row>;
}

/** One page of a list that is looked at page by page. */
export async function listPage<Row>(path: string, query: Record<string, string>, stop: AbortSignal): Promise<Page<Row>> {
  return fetchList<Row>(path, query, stop);
}

/** The first rows of a ranking, at most `limit` of them. */
export async function listTop<Row>(
  path: string,
  query: Record<string, string>,
  limit: number,
  stop: AbortSignal,
): Promise<List<Row>> {
  const page = await fetchList<Row>(path, { ...query, limit: String(limit) }, stop);
  return { rows: page.data, asOf: page.as_of };
}

/** Reads every row of a list, following `next`. */
export async function listRows<Row>(
  path: string,
  query: Record<string, string>,
  stop: AbortSignal,
): Promise<List<Row>> {
  const list: List<Row> = { rows: [], asOf: "" };
  let cursor: string | null = null;
  for (let turn = 0; turn < PAGES_MAX; turn += 1) {
    const from: Record<string, string> = cursor === null ? {} : { cursor };
    const page: Page<Row> = await fetchList<Row>(path, { ...query, ...from, limit: LIMIT }, stop);
    list.rows.push(...page.data);
    list.asOf = page.as_of;
    cursor = page.next;
    if (cursor === null) break;
  }
  return list;
}
