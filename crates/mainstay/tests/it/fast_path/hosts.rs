//! Who answers is asked for each request: hosts in turn on one connection, and sites that change under it.

use mainstay_testkit::{Connection, Request, Response, Site, Upstream, until};

use super::{SOON, is_short};
use crate::launch;

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\napp";

fn folder(name: &str, hosts: &str, more: &str, site: &Site) -> String {
    format!(
        "[[site]]\nname = \"{name}\"\nhosts = [{hosts}]\ndir = \"{}\"\n{more}",
        site.dir().display()
    )
}

fn app(name: &str, hosts: &str, app: &Upstream) -> String {
    format!(
        "[[site]]\nname = \"{name}\"\nhosts = [{hosts}]\nupstreams = [\"http://{}\"]\n",
        app.address
    )
}

fn ask(connection: &mut Connection, host: &str) -> Response {
    connection.send(&Request::get("/").header("host", host))
}

#[test]
fn one_connection_may_ask_every_site_in_turn() {
    let (one, two) = (Site::of(&[("index.html", "one")]), Site::of(&[("index.html", "two")]));
    let behind = Upstream::answering(ANSWER);
    let settings = [
        folder("one", "\"one.test\"", "", &one),
        folder("two", "\"two.test\", \"www.two.test\"", "canonical = \"two.test\"\n", &two),
        app("app", "\"app.test\"", &behind),
    ];
    let server = launch().sites_in_settings().config(&settings.concat()).start();
    let mut connection = server.connect();
    let mut seen = Vec::new();
    // An app's answer and a refusal leave the connection with the library, a file's gives it back.
    const HOSTS: [&str; 7] =
        ["one.test", "one.test", "www.two.test", "app.test", "two.test", "two.test", "nobody.test"];
    for host in HOSTS.repeat(3) {
        let answer = ask(&mut connection, host);
        let body = if answer.status == 200 { answer.text() } else { String::new() };
        let is_short = host != "app.test" && is_short(&answer);
        seen.push((answer.status, body.contains(&host[..3]), is_short));
    }
    // In the first round files are read from the disk.
    for round in seen.chunks(HOSTS.len()).skip(1) {
        let (file, short) = ((200, true, false), (200, true, true));
        let (moved, refused) = ((308, false, false), (421, false, false));
        assert_eq!(round, [file, short, moved, file, file, short, refused]);
    }
    let refused = server.metrics().value("mainstay_requests_refused_total", &[("reason", "host")]);
    assert!((refused - 3.0).abs() < 0.1, "{refused}");
}

#[test]
fn a_site_that_is_given_away_answers_no_more_on_an_open_connection() {
    let (site, behind) = (Site::of(&[("index.html", "files")]), Upstream::answering(ANSWER));
    let mut server = launch()
        .sites_in_settings()
        .config(&folder("main", "\"a.test\", \"b.test\"", "", &site))
        .start();
    let mut connection = server.connect();
    until("the short way", SOON, || is_short(&ask(&mut connection, "a.test")));
    server.write_settings(&app("main", "\"a.test\"", &behind));
    server.process().signal("HUP");
    until("the app", SOON, || ask(&mut connection, "a.test").text() == "app");
    assert_eq!(ask(&mut connection, "b.test").status, 421, "nobody's now");
}
