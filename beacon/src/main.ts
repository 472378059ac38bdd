//! m.js: page views, engagement, custom events, web vitals and errors.

import { installApi, isInstalled } from "./custom.js";
import { watchErrors } from "./errors.js";
import { guard, listen } from "./guard.js";
import { hide, watchLifecycle } from "./lifecycle.js";
import { withoutQuery } from "./privacy.js";
import { sendByFetch } from "./retry.js";
import { configure, sendWith } from "./transport.js";
import { collectFinal, collectVitals, watchVitals } from "./vitals.js";

guard(() => {
  if (isInstalled()) return;
  const script = document.currentScript as HTMLScriptElement;
  configure(script);
  sendWith(() => {
    collectFinal();
    sendByFetch();
  });
  // Before web-vitals, so that a restored page is a new view by the time its vitals are reported.
  watchLifecycle(collectVitals);
  // Engines that measure interactions fire visibilitychange after pagehide (HTML, "unload a document"), and only
  // then are vitals final. In the others pagehide may be the last event of all.
  listen(window, "pagehide", () => (document.hidden || !window.PerformanceEventTiming) && hide());
  installApi();
  watchErrors(withoutQuery(script.src));
  watchVitals();
})();
