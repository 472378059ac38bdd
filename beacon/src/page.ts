//! One page view: its id, address and clock; which view is current. Sends nothing.

import { isPrivate, withoutQuery } from "./privacy.js";

/** A page view as the server knows it. */
export interface Page {
  /** Identifier of this view, 22 url-safe characters. */
  page: string;
  /** Set when the view is counted: an application may have moved on while it was still in the background. */
  url?: string;
  ref: string | undefined;
  /** When the view began, in ms of `performance.now()`. */
  start: number;
}

/** The time in ms and 65 random bits, as 22 url-safe characters: ids made one after another lie together in the store. */
export const newId = (): string =>
  crypto.getRandomValues(new Uint8Array(13)).reduce((id, byte) => id + (byte & 31).toString(32), Date.now().toString(32));

/** The view the visitor is looking at. */
export let current: Page;

/** The view that began with a load or a restore from the back/forward cache: web vitals belong to it. */
export let loaded: Page;

/** Makes a new view current. `ref` is where the visitor came from. */
export const openPage = (ref: string, start = performance.now()): Page =>
  (current = {
    page: newId(),
    ref: (!isPrivate && withoutQuery(ref)) || undefined,
    start,
  });

/** Like {@link openPage}, for a view that has a load of its own. */
export const openLoadedPage = (start?: number): Page => (loaded = openPage(document.referrer, start));
