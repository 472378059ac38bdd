// Which site is looked at: a name, or a choice when there are several. The stream tells new names.
import { snapshot } from "../state/live";
import { site } from "../state/view";
import type { Session } from "../wire";

/** The host of the site's address; its name when the address cannot be read. */
function hostOf(url: string, name: string): string {
  return URL.canParse(url) ? new URL(url).host : name;
}

export function SitePicker({ session }: { session: Session }) {
  const sites = snapshot.value?.sites ?? session.sites;
  if (sites.length < 2) return <span class="site-name">{hostOf(session.site_url, site.value)}</span>;
  return (
    <label class="site-picker">
      <span class="hidden">Site</span>
      <select value={site.value} onChange={(event) => { site.value = event.currentTarget.value; }}>
        {sites.map((name) => <option key={name} value={name}>{name}</option>)}
      </select>
    </label>
  );
}
