// Starts the console: styles, theme, address, session, first paint.
import { effect } from "@preact/signals";
import { render } from "preact";
import "uplot/dist/uPlot.min.css";
import "./styles/tokens.css";
import "./styles/sheet.css";
import "./styles/frame.css";
import "./styles/panels.css";
import "./styles/jobs.css";
import "./styles/header.css";
import { App } from "./app";
import { access, openSession } from "./state/session";
import { bindTheme } from "./state/theme";
import { bindFragment, settleSite } from "./state/view";

const root = document.getElementById("app");
if (root === null) throw new Error("index.html has no #app");
bindTheme();
bindFragment();
effect(() => {
  if (access.value.state === "signed-in") settleSite(access.value.session.sites);
});
render(<App />, root);
void openSession();
