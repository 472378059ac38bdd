// The site's address as a link that opens beside the console.
import { access } from "../state/session";

/** Only http(s) becomes a link: the address comes from the server's settings, which may be wrong. */
export function SiteLink() {
  const url = access.value.state === "signed-in" ? access.value.session.site_url : "";
  if (!/^https?:\/\//.test(url)) return <>{url === "" ? "the site" : url}</>;
  return <a href={url} target="_blank" rel="noopener noreferrer">{url}</a>;
}
