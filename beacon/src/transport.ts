//! The queue of events and its batches, which go out by sendBeacon unless told otherwise. Knows no event type.

import { guard } from "./guard.js";
import { newId, type Page } from "./page.js";
import { scrub } from "./privacy.js";

/** Events kept in memory at most; later ones are dropped. */
const queueEventsMax = 100;
/** Events per request, as the server allows. */
const batchEventsMax = 50;
/** Characters of events per request: at three UTF-8 bytes each, and with the envelope, they stay below 60 KiB. */
const batchCharsMax = 18_000;

/** A queued event, written out, and how often it was sent in vain. */
export interface Item {
  of: Page;
  json: string;
  tries?: number;
}

let queue: Item[] = [];
/** Set while a sending is scheduled, so that there is one at a time. */
let timer: unknown;
let site: string;
let release: string | undefined;

/** Where batches go: next to where our script came from, whatever the prefix. */
export let endpoint: string;

/** Takes the settings from our own script element. */
export const configure = (script: HTMLScriptElement): void => {
  endpoint = new URL("events", script.src).href;
  ({ site = "default", release } = script.dataset);
};

/** Queues an event. Every text in it is scrubbed here, once for all kinds. */
export const add = (of: Page, type: string, fields: object): void => {
  const t = Math.round(performance.now() - of.start);
  const json = JSON.stringify({ id: newId(), type, t, ...fields }, (_, value) =>
    typeof value === "string" ? scrub(value) : value,
  );
  // Only a page's own custom properties can make an event that fits into no request.
  if (queue.length < queueEventsMax && json.length < batchCharsMax) queue.push({ of, json });
  // Nothing is sent of a page that nobody has seen yet: it has no address.
  if (of.url && queue.length >= batchEventsMax) sendSoon(0);
};

/** Hands everything to the browser, which delivers it even when the page goes away. */
export const flush = (): void => {
  let batch;
  while ((batch = takeBatch())) {
    // Refused over the browser's own quota: it waits for the next occasion.
    if (!navigator.sendBeacon(endpoint, writeBody(batch))) return putBack(batch);
  }
};

let send = flush;

/** Replaces how events go out while the page is in use. */
export const sendWith = (sender: () => void): void => {
  send = sender;
};

/** Sends in `ms` what is queued by then, unless a sending is scheduled already. */
export const sendSoon = (ms: number): void => {
  timer ||= setTimeout(
    guard(() => {
      timer = 0;
      send();
    }),
    ms,
  );
};

/** Returns events to the front of the queue; the latest are dropped when it is full. */
export const putBack = (items: Item[]): void => {
  queue = items.concat(queue).slice(0, queueEventsMax);
};

/** Removes from the queue as many events of one page view as fit into a request. */
export const takeBatch = (): Item[] | undefined => {
  const of = queue[0]?.of;
  let room = batchCharsMax;
  const batch: Item[] = [];
  queue = queue.filter(
    (item) =>
      item.of !== of || batch.length >= batchEventsMax || (room -= item.json.length) < 0 || !batch.push(item),
  );
  return of && batch;
};

/** Writes a batch as the server reads it. */
export const writeBody = (batch: Item[]): string => {
  const { page, url, ref } = batch[0]!.of;
  const envelope = JSON.stringify({ v: 1, site, page, url, ref, w: innerWidth, release, events: [] });
  return envelope.slice(0, -2) + batch.map((item) => item.json) + "]}";
};
