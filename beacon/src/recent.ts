//! The latest performance entries of a kind, for whoever must explain a value after the fact; explains nothing itself.

/** Entries kept of each kind: an interaction is explained within a moment of its frame. */
const entriesMax = 50;

/** Watches entries of `type` where the browser can; the function returned lists the latest. */
export const watchRecent = <E extends PerformanceEntry>(type: string): (() => E[]) => {
  let entries: E[] = [];
  const keep = (more: PerformanceEntryList): void => {
    entries = entries.concat(more as E[]).slice(-entriesMax);
  };
  if (!PerformanceObserver.supportedEntryTypes.includes(type)) return () => entries;
  const observer = new PerformanceObserver((list) => keep(list.getEntries()));
  // The threshold of web-vitals for events; other kinds know none.
  observer.observe({ type, buffered: true, durationThreshold: 40 } as PerformanceObserverInit);
  return () => {
    keep(observer.takeRecords());
    return entries;
  };
};
