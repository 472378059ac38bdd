//! m.lite.js: page views, engagement and custom events.

import { installApi, isInstalled } from "./custom.js";
import { guard, listen } from "./guard.js";
import { hide, watchLifecycle } from "./lifecycle.js";
import { configure } from "./transport.js";

guard(() => {
  if (isInstalled()) return;
  configure(document.currentScript as HTMLScriptElement);
  watchLifecycle();
  listen(window, "pagehide", hide);
  installApi();
})();
