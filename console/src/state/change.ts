// One change asked of the API, and how it ended; says nothing of what was changed.
import { signal } from "@preact/signals";
import { parseJson, problemText } from "../wire";
import { leave, SESSION_ENDED } from "./session";

/** False once the server has said that whoever is signed in may look only. */
export const mayChange = signal(true);

/** Null where it is done, else the sentence to show. */
export async function change(method: "POST" | "DELETE", path: string): Promise<string | null> {
  try {
    const answer = await fetch(path, { method, headers: { accept: "application/json" } });
    if (answer.ok) return null;
    if (answer.status === 401) leave(SESSION_ENDED);
    if (answer.status === 403) mayChange.value = false;
    return problemText(parseJson(await answer.text())) ?? `the server answered ${answer.status}`;
  } catch {
    return "the server did not answer";
  }
}
