//! Uncaught errors and unhandled rejections of the page: what, where, scrubbed and bounded; none of our own.

import { listen } from "./guard.js";
import { current, type Page } from "./page.js";
import { withoutOrigin, withoutQuery } from "./privacy.js";
import { add } from "./transport.js";

const errorsPerPageMax = 10;
const nameCharsMax = 100;
const messageCharsMax = 512;
const stackCharsMax = 4096;

/** A frame's place in a V8, SpiderMonkey or JavaScriptCore stack: URL, line, column. */
const place = /([\w-]+:\/\/\S+?):(\d+):(\d+)/;

/** The view the count is for, and the errors already reported in it. */
let counted: Page | undefined;
let reported = new Set<string>();

/** Starts listening. `self` is the URL of this script, whose own failures are nobody else's business. */
export const watchErrors = (self: string): void => {
  listen(window, "error", ({ error, message, filename, lineno, colno }: ErrorEvent) => {
    // An image or script that failed to load fires an event without a message.
    if (message) report(self, error, message, filename, lineno, colno);
  });
  listen(window, "unhandledrejection", ({ reason }: PromiseRejectionEvent) => report(self, reason, reason));
};

const report = (
  self: string,
  error: any,
  said: unknown,
  src?: string,
  line?: number | string,
  col?: number | string,
): void => {
  const stack = cleanStack(String(error?.stack || ""));
  const message = String(error?.message || said);
  if (!src || src.startsWith(self)) {
    // Our wrapper of pushState stands in the stacks of calls that fail; the caller is the next frame.
    const frames = stack.match(RegExp(place, "g")) || [];
    const caller = frames.find((frame) => !frame.startsWith(self));
    // Frames of evaluated code have no URL, so count: only a stack that is ours from top to bottom is ours.
    if (!caller && frames.length >= (stack ? stack.trim().split("\n").length : src ? 0 : 1)) return;
    [, src = "", line, col] = place.exec(caller || "") || [];
  }
  // Cross-origin scripts whose details the browser withholds, and what visitors installed, tell the site nothing.
  if ((!src && /^Script error/.test(message)) || /-extension:/.test(src) || isRepeated(message + stack)) return;
  add(current, "error", {
    name: String(error?.name || "Error").slice(0, nameCharsMax),
    message: withoutEmail(message).slice(0, messageCharsMax),
    stack: withoutEmail(stack).slice(0, stackCharsMax) || undefined,
    line: +line! || undefined,
    col: +col! || undefined,
    src: withoutOrigin(withoutQuery(src)) || undefined,
  });
};

/** Whether this view reported the same before, or enough. */
const isRepeated = (print: string): boolean => {
  if (counted !== current) reported = new Set();
  counted = current;
  return reported.has(print) || reported.size >= errorsPerPageMax || !reported.add(print);
};

/** Frames only (V8 repeats the message above them), their queries removed, line and column kept. */
const cleanStack = (stack: string): string =>
  stack
    .slice(stack.search(/\n\s+at /) + 1)
    .replace(/(:\/\/[^\s?#]*)[?#].*?(:\d+:\d+\)?)?$/gm, "$1$2");

const withoutEmail = (text: string): string => text.replace(/[\w.+-]+@[\w-]+\.[\w.-]+/g, "@");
