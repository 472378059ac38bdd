// Which page is on screen: the console, or a sheet in its place.
import { useEffect } from "preact/hooks";
import { Header } from "./panels/Header";
import { HistoryView } from "./panels/HistoryView";
import { JobsView } from "./panels/JobsView";
import { LiveView } from "./panels/LiveView";
import { MachinesView } from "./panels/MachinesView";
import { SignedOut, Unreachable } from "./panels/Sheets";
import { count } from "./format";
import { followSite, snapshot } from "./state/live";
import { access } from "./state/session";
import { page, range, site, SPANS } from "./state/view";
import type { Session } from "./wire";

function Title() {
  const now = snapshot.value;
  useEffect(() => {
    document.title = now === null ? "Mainstay" : `${count(now.visitors_now)} now · ${now.site} · Mainstay`;
  }, [now?.visitors_now, now?.site]);
  return null;
}

function View() {
  if (page.value === "machines") return <MachinesView />;
  if (page.value === "jobs") return <JobsView />;
  return range.value === "live" ? <LiveView /> : <HistoryView span={SPANS[range.value]} />;
}

function Console({ session }: { session: Session }) {
  const name = site.value;
  useEffect(() => followSite(name), [name]);
  return (
    <div class="screen">
      <Title />
      <Header session={session} />
      <View />
    </div>
  );
}

export function App() {
  const now = access.value;
  switch (now.state) {
    case "checking":
      return null;
    case "unreachable":
      return <Unreachable />;
    case "signed-out":
      return <SignedOut reason={now.reason} />;
    case "signed-in":
      return <Console session={now.session} />;
  }
}
