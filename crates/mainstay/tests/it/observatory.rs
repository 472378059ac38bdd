//! MDN's HTTP Observatory on both kinds of site over TLS with a year of HSTS: the highest score there is without being built into browsers.

use mainstay_testkit::{Server, checkout};
use serde_json::{Value, json};

use crate::browser::{list, run_script};
use crate::example::{App, Certificate, https};
use crate::launch;

/// What a site of one's own reaches by its settings; an app's pages may hold things that cost some of it.
const APP_SCORE_MIN: u64 = 130;
/// The start, and what the grader gives beyond it to a site without cookies that is not preloaded. `e2e/stand/grader.mjs`
/// adds it up from the grader's own tables, which this number keeps from shrinking unseen.
const MAXIMUM: u64 = 135;
const PORTFOLIO: [&str; 4] = ["/", "/work/", "/about", "/journal/one-lens-for-a-year"];
/// Pages made for each request, made again while the app runs, and made by the build.
const NEXTJS: [&str; 4] = ["/", "/book", "/week", "/cove"];

fn serve(site: &str, certificate: &Certificate) -> Server {
    let settings = format!("[headers]\nhsts = \"year\"\n[[site]]\nname = \"default\"\n{site}");
    certificate.give(launch().sites_in_settings().config(&settings)).start()
}

fn addresses(server: &Server, paths: &[&str]) -> Value {
    paths.iter().map(|path| https(server) + path).collect()
}

#[test]
fn the_observatory_has_nothing_left_to_ask_for() {
    let certificate = Certificate::make();
    let folder = checkout().join("examples/portfolio/site");
    let portfolio = serve(&format!("dir = {folder:?}\n"), &certificate);
    let app = App::start_nextjs();
    let proxied = format!("upstreams = [{:?}]\nbuild_dir = {:?}\n", app.url, app.build_dir());
    let nextjs = serve(&proxied, &certificate);

    let told = json!({
        "sites": {"portfolio": addresses(&portfolio, &PORTFOLIO), "nextjs": addresses(&nextjs, &NEXTJS)},
        "certificate": certificate.path(),
    });
    let facts = run_script("observatory.mjs", &told);
    for (site, paths, least) in
        [("portfolio", PORTFOLIO, MAXIMUM), ("nextjs", NEXTJS, APP_SCORE_MIN)]
    {
        let pages = list(&facts[site]);
        assert_eq!(pages.len(), paths.len(), "{facts}");
        for page in pages {
            assert_eq!(
                (&page["status"], &page["maximum"]),
                (&json!(200), &json!(MAXIMUM)),
                "{page}"
            );
            assert!(page["score"].as_u64() >= Some(least), "{site}: {page}");
            let tests = page["tests"].as_object().expect("tests");
            assert!(tests.values().all(|test| test["pass"] == true), "{site}: {page}");
        }
    }
}
