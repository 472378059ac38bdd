//! Keeps our own failures out of the page: no exception of ours ever reaches the site's code or its error log.

/** Wraps a function so that it never throws: without some API we lose one measurement, never the page. */
export const guard =
  <A extends unknown[]>(run: (...args: A) => void) =>
  (...args: A): void => {
    try {
      run(...args);
    } catch {}
  };

/**
 * Adds a listener that never throws. It captures, so that a page that stops propagation does not silence us
 * and, on `window`, whoever registers first is called first.
 */
export const listen = (target: EventTarget, type: string, run: (event: any) => void): void =>
  target.addEventListener(type, guard(run), true);
