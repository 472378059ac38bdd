// Who is signed in, and the one place that notices when nobody is; holds no data of the site.
import { signal } from "@preact/signals";
import { isSession, parseJson, type Session } from "../wire";

export type Access =
  | { state: "checking" }
  | { state: "unreachable" }
  | { state: "signed-out"; reason: string }
  | { state: "signed-in"; session: Session };

/** Pause before the session is asked for again while the server does not answer. */
const RETRY_MS = 3000;

export const access = signal<Access>({ state: "checking" });

export const SESSION_ENDED = "Your session has ended, or this browser was never signed in.";
const LEFT = "You signed out of this console.";

export function leave(reason: string): void {
  access.value = { state: "signed-out", reason };
}

/** Asks the server who we are; answers false once nobody is signed in. */
export async function checkSession(): Promise<boolean> {
  try {
    const answer = await fetch("/api/v1/session", { headers: { accept: "application/json" } });
    if (answer.status === 401 || answer.status === 403) {
      leave(SESSION_ENDED);
      return false;
    }
    const body = parseJson(await answer.text());
    if (answer.ok && isSession(body)) access.value = { state: "signed-in", session: body };
    return answer.ok;
  } catch {
    return true;
  }
}

/** Checks until the server has answered once. */
export async function openSession(): Promise<void> {
  await checkSession();
  if (access.value.state !== "checking" && access.value.state !== "unreachable") return;
  access.value = { state: "unreachable" };
  setTimeout(() => void openSession(), RETRY_MS);
}

/** Ends the session on the server; answers false when it did not say so. */
export async function endSession(): Promise<boolean> {
  try {
    const answer = await fetch("/session/end", { method: "POST" });
    if (!answer.ok && answer.status !== 401) return false;
  } catch {
    return false;
  }
  leave(LEFT);
  return true;
}
