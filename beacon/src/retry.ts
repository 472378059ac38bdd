//! Sending by fetch while the page is in use: sees the answer and repeats what the server had no room for.

import { endpoint, putBack, sendSoon, takeBatch, writeBody } from "./transport.js";

/** Times an event is sent, at most. */
const triesMax = 3;
/** Seconds before the next try when the server names none. */
const waitSecsDefault = 5;

/** Sends one batch, and the next when the answer is there. */
export const sendByFetch = (): void => {
  const batch = takeBatch();
  if (!batch) return;
  // A plain text body and no header of ours: no preflight. `keepalive` outlives the page.
  fetch(endpoint, { method: "POST", body: writeBody(batch), keepalive: true })
    .then(
      ({ status, headers }) =>
        status === 429 || status === 503 ? +headers.get("retry-after")! || waitSecsDefault : 0,
      () => waitSecsDefault,
    )
    .then((waitSecs) => {
      // Repeats keep their event ids, so one that did arrive is counted once.
      if (waitSecs) putBack(batch.filter((item) => (item.tries = (item.tries || 0) + 1) < triesMax));
      // Up to twice the wait asked for, so that the visitors of a busy moment do not all come back at once.
      sendSoon(waitSecs * 1000 * (1 + Math.random()));
    });
};
