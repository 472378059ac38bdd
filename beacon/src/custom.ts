//! `window.mainstay(name, {props, revenue})`: the site's own events, and the calls queued before we arrived.

import { guard } from "./guard.js";
import { current } from "./page.js";
import { isPrivate } from "./privacy.js";
import { add } from "./transport.js";

/** What a custom event may carry. Property values are texts, numbers or booleans; others are left out. */
export interface CustomDetails {
  props?: Record<string, unknown>;
  revenue?: { amount: number; currency: string };
}

type Call = [name: string, details?: CustomDetails];

interface Api {
  (...call: Call): void;
  /** Calls made before this script arrived; afterwards an object that forwards, for copies of the stub. */
  q?: { push(call: Call): unknown };
  /** Present on the real function: tells it from a stub. */
  v?: number;
}

declare global {
  interface Window {
    mainstay?: Api;
  }
}

/** Whether another copy of this script already runs in the page. */
export const isInstalled = (): boolean => !!window.mainstay?.v;

/** Puts the API in place and replays queued calls. */
export const installApi = (): void => {
  const queued = window.mainstay?.q as Call[] | undefined;
  const api: Api = guard((name, { props = {}, revenue }: CustomDetails = {}) =>
    add(current, "custom", {
      name: name + "",
      props: isPrivate ? {} : keepPlain(props),
      revenue: revenue?.currency && { amount: +revenue.amount, currency: revenue.currency },
    }),
  );
  const push = (call: Call) => api(...call);
  api.v = 1;
  api.q = { push };
  window.mainstay = api;
  // The stub queues `arguments` objects, which spread but are no arrays.
  queued?.forEach(push);
};

const keepPlain = (props: object): object =>
  Object.fromEntries(Object.entries(props).filter(([, value]) => /^[bns]/.test(typeof value)));
