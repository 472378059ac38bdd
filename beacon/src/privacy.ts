//! What may leave the browser: every URL and text passes through here; nothing here sends or stores anything.

declare global {
  interface Navigator {
    globalPrivacyControl?: boolean;
  }
}

const queryKept = /^(utm_(source|medium|campaign|term|content)|ref|source|via)=/;

/** Longest URL sent, in characters; the query is cut first because it comes last. */
const urlCharsMax = 2048;

/**
 * The visitor asks not to be followed: Global Privacy Control (https://w3c.github.io/gpc/) or the older DNT.
 * The page is then counted and timed, and nothing that tells visits apart is sent.
 */
export const isPrivate = navigator.globalPrivacyControl || navigator.doNotTrack === "1";

/**
 * Removes queries from anything URL-like in a text, plain or percent-encoded, and fragments that carry
 * `key=value` (OAuth answers) or a path (hash routers). `#id>…` is left alone: a selector of ours.
 */
export const scrub = (text: string): string =>
  text.replace(/(\?|%(25)*3f|#(?=[^\s>]*[=/]))\S*/gi, "");

/** Origin and path of a URL, without query and fragment. */
export const withoutQuery = (url: string): string => url.split(/[?#]/)[0]!;

/** The address of this page with only the campaign parameters left in its query. */
export const readPageUrl = (): string => {
  const kept = location.search
    .slice(1)
    .split("&")
    .filter((pair) => !isPrivate && queryKept.test(pair))
    .map(scrub)
    .join("&");
  return (withoutQuery(location.href) + (kept && "?" + kept)).slice(0, urlCharsMax);
};

/** A URL as the site's owner reads it: a path when it is the site's own. */
export const withoutOrigin = (url: string): string => url.replace(location.origin + "/", "/");
