//! Tests of `reports`.

use std::net::Ipv4Addr;
use std::time::Duration;

use mainstay_base::task::Group as Tasks;

use super::*;
use crate::fixture::{FIREFOX, House, SECOND};
use crate::{Settings, settings};

/// What Chromium 156 sends to `report-to`.
const CHROMIUM: &str = r#"[{"age":1,"body":{"blockedURL":"inline","columnNumber":7,"disposition":"enforce",
    "documentURL":"https://own.example/shop/17?cart=sesame","effectiveDirective":"script-src-elem","lineNumber":3,
    "originalPolicy":"script-src 'nonce-c2VzYW1l'","referrer":"https://own.example/?q=sesame","sample":"alert(1)",
    "sourceFile":"https://own.example/shop/17?cart=sesame","statusCode":200},
    "type":"csp-violation","url":"https://own.example/shop/17?cart=sesame","user_agent":"Mozilla/5.0 sesame"}]"#;
/// What Firefox sends to `report-uri`, of the same violation on another page of the kind.
const FIREFOX_OLD: &str = r#"{"csp-report":{"blocked-uri":"inline","column-number":1,"disposition":"enforce",
    "document-uri":"https://own.example/shop/18","effective-directive":"script-src-elem","line-number":9,
    "original-policy":"script-src 'nonce-c2VzYW1l'","referrer":"","script-sample":"alert(1)",
    "source-file":"https://own.example/shop/18","status-code":200,"violated-directive":"script-src-elem"}}"#;

/// A house with the task that makes reports durable.
struct Collecting {
    house: House,
    insight: Insight,
    tasks: Tasks,
}

impl Collecting {
    async fn open() -> Self {
        Self::with(settings::Reports::default()).await
    }

    async fn with(reports: settings::Reports) -> Self {
        let house = House::open().await;
        let insight = house.with_settings(Settings { reports, ..Settings::default() }).await;
        let tasks = Tasks::new();
        tasks.spawn("reports", |stop| run(insight.clone(), stop));
        Self { house, insight, tasks }
    }

    async fn send_from(&self, client: IpAddr, body: &str) -> Result<(), Error> {
        self.send_at(self.house.clock.now(), client, body).await
    }

    async fn send_at(&self, now: Timestamp, client: IpAddr, body: &str) -> Result<(), Error> {
        let sender = Sender {
            client,
            user_agent: FIREFOX,
            host: Some("own.example"),
            received: now,
            site: "default".into(),
        };
        let pass = self.insight.admit_reports(client, now)?;
        self.insight.accept_reports(&sender, pass, body.as_bytes()).await.map(drop)
    }

    async fn send(&self, body: &str) -> Result<(), Error> {
        self.send_from(Ipv4Addr::new(192, 0, 2, 77).into(), body).await
    }

    async fn list(&self) -> Vec<Group> {
        self.insight.list_reports(&self.house.last(SECOND), None, 2_000).await.expect("rows")
    }

    fn dropped(&self, reason: &str) -> f64 {
        let series = format!("mainstay_reports_dropped_total{{reason=\"{reason}\"}}");
        self.house.metric(&series).unwrap_or(0.0)
    }

    async fn close(self) {
        assert_eq!(self.tasks.finish(10 * SECOND, SECOND).await, 0);
        self.house.close().await;
    }
}

fn violation(blocked: &str) -> String {
    format!(
        r#"{{"csp-report":{{"document-uri":"https://own.example/","blocked-uri":"{blocked}"}}}}"#
    )
}

#[tokio::test]
async fn both_browsers_report_the_same_thing() {
    let c = Collecting::open().await;
    c.send(CHROMIUM).await.expect("kept");
    c.send(FIREFOX_OLD).await.expect("kept");
    let [group] = &c.list().await[..] else { panic!("not one row") };
    let seen = [
        &*group.report_type,
        &group.name,
        &group.document,
        &group.blocked,
        &group.source,
        &group.disposition,
        &group.message,
    ];
    let words = [
        "csp-violation",
        "script-src-elem",
        "/shop/18",
        "inline",
        "/shop/18",
        "enforce",
        "alert(1)",
    ];
    assert_eq!(seen, words);
    assert_eq!((group.count, group.line_number, group.column_number), (2, Some(9), Some(1)));
    assert_eq!(group.user_agent.as_deref(), Some("Firefox 128 on Linux"));
    let series = "mainstay_reports_accepted_total{type=\"csp-violation\"}";
    assert_eq!(c.house.metric(series), Some(2.0));
    c.close().await;
}

#[tokio::test]
async fn nothing_secret_reaches_the_disk() {
    let c = Collecting::open().await;
    c.send(CHROMIUM).await.expect("kept");
    c.send(&violation("https://u:sesame@cdn.example/x.js?sesame#sesame")).await.expect("kept");
    c.send(&violation("data:text/html,sesame")).await.expect("kept");
    assert_eq!(c.list().await.len(), 3);
    let files = c.house.files();
    for hidden in ["sesame", "c2VzYW1l", "192.0.2.77", "Gecko/20100101"] {
        assert!(!files.windows(hidden.len()).any(|w| w == hidden.as_bytes()), "{hidden}");
    }
    assert!(files.windows(9).any(|w| w == b"192.0.2.0"));
    c.close().await;
}

#[tokio::test]
async fn many_alike_at_once_are_one_row_and_few_commits() {
    let c = Collecting::open().await;
    let commits = c.house.insight.0.context.recorder.committed();
    let before = *commits.borrow();
    let body = violation("inline");
    let mut waiting = tokio::task::JoinSet::new();
    let c = Arc::new(c);
    for n in 0..2_000u32 {
        let (c, body) = (Arc::clone(&c), body.clone());
        let client = IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 + n % 5));
        waiting.spawn(async move { c.send_from(client, &body).await });
    }
    while let Some(sent) = waiting.join_next().await {
        assert!(sent.expect("no panic").is_ok());
    }
    let rows = c.list().await;
    assert_eq!((rows.len(), rows[0].count), (1, 2_000));
    let took = *commits.borrow() - before;
    assert!(took <= 100, "{took} commits for 2000 alike reports");
    Arc::into_inner(c).expect("the last").close().await;
}

#[tokio::test]
async fn invented_kinds_are_folded_and_still_counted() {
    let c = Collecting::with(settings::Reports { kinds_max: 10, ..Default::default() }).await;
    let letters = |n: u32| char::from_u32(u32::from('a') + n).expect("a letter");
    for n in 0..25 {
        c.send(&violation(&format!("https://x{}.example/", letters(n)))).await.expect("kept");
    }
    let rows = c.list().await;
    assert_eq!(rows.len(), 11);
    assert_eq!(rows.iter().map(|row| row.count).sum::<i64>(), 25);
    let folded = rows.iter().find(|row| row.blocked.is_empty()).expect("the folded one");
    assert_eq!(folded.count, 15);
    // The next hour tells them apart again.
    c.house.clock.advance(Duration::from_secs(3_600));
    c.send(&violation("https://xz.example/")).await.expect("kept");
    assert_eq!(c.list().await[0].blocked, "https://xz.example/");
    c.close().await;
}

#[tokio::test]
async fn who_invents_kinds_blurs_only_its_own() {
    let limits =
        settings::Reports { kinds_max: 20, kinds_per_address_max: 10, ..Default::default() };
    let c = Collecting::with(limits).await;
    let address = |n: u32| format!("https://x{}.example/", "y".repeat(n as usize));
    for n in 0..40 {
        c.send(&violation(&address(n))).await.expect("kept");
    }
    let other = IpAddr::from(Ipv4Addr::new(198, 51, 100, 1));
    c.send_from(other, &violation("eval")).await.expect("kept");
    // What is known already stays told apart, whoever sends it.
    c.send(&violation("eval")).await.expect("kept");
    let rows = c.list().await;
    assert_eq!(rows.len(), 12);
    let count = |blocked: &str| rows.iter().find(|row| row.blocked == blocked).map(|r| r.count);
    assert_eq!((count("eval"), count("")), (Some(2), Some(30)));
    c.close().await;
}

#[tokio::test]
async fn noise_and_nonsense_are_dropped_and_counted() {
    let c = Collecting::open().await;
    c.send(&violation("chrome-extension")).await.expect("taken");
    c.send(r#"[1,{"type":"deprecation","body":{"id":"x","sourceFile":"moz-extension://a/b.js"}}]"#)
        .await
        .expect("taken");
    assert!(matches!(c.send("{").await, Err(Error::Invalid(_))));
    assert_eq!(c.list().await, []);
    assert_eq!((c.dropped("noise"), c.dropped("invalid")), (2.0, 2.0));
    c.close().await;
    let keep = settings::Reports { noise: settings::Noise::Keep, ..Default::default() };
    let c = Collecting::with(keep).await;
    c.send(&violation("chrome-extension")).await.expect("kept");
    assert_eq!(c.list().await[0].blocked, "chrome-extension");
    c.close().await;
}

#[tokio::test]
async fn a_flood_from_one_address_is_refused_and_others_are_heard() {
    let c = Collecting::with(settings::Reports { burst: 50, ..Default::default() }).await;
    let list = format!("[{}]", vec![violation("inline"); 30].join(","));
    assert!(c.send(&list).await.is_ok());
    // Half of the second list is paid for; then nothing is.
    assert!(c.send(&list).await.is_ok());
    assert!(matches!(c.send(&list).await, Err(Error::Limited { .. })));
    assert_eq!(c.dropped("limited"), 11.0);
    assert!(c.send_from(Ipv4Addr::new(198, 51, 100, 1).into(), &violation("eval")).await.is_ok());
    let counts: Vec<_> = c.list().await.iter().map(|row| row.count).collect();
    assert_eq!(counts.iter().sum::<i64>(), 51);
    c.close().await;
}

#[tokio::test]
async fn of_a_batch_that_is_too_long_the_rest_is_counted() {
    let letter = |n: u8| char::from(b'a' + n);
    let kinds = |n| (0..n).map(|n| violation(&format!("https://{}.example/", letter(n))));
    let list = |n| format!("[{}]", kinds(n).collect::<Vec<_>>().join(","));
    let c = Collecting::with(settings::Reports { reports_max: 5, ..Default::default() }).await;
    c.send(&list(20)).await.expect("the first are kept");
    assert_eq!((c.list().await.len(), c.dropped("too_many"), c.dropped("limited")), (5, 15.0, 0.0));
    c.close().await;
    let limits = settings::Reports { waiting_per_address_max: 5, ..Default::default() };
    let c = Collecting::with(limits).await;
    c.send(&list(20)).await.expect("the first are kept");
    assert_eq!((c.list().await.len(), c.dropped("too_many"), c.dropped("limited")), (5, 0.0, 15.0));
    c.close().await;
}

#[tokio::test]
async fn a_clock_that_was_ahead_does_not_fold_what_comes_after() {
    let c = Collecting::with(settings::Reports { kinds_max: 2, ..Default::default() }).await;
    let (now, client) = (c.house.clock.now(), Ipv4Addr::new(192, 0, 2, 77).into());
    let ahead = now.plus(Duration::from_secs(48 * 3_600));
    for blocked in ["https://a.example/", "https://b.example/"] {
        c.send_at(ahead, client, &violation(blocked)).await.expect("kept");
    }
    c.send_at(now, client, &violation("https://c.example/")).await.expect("kept");
    let rows = c.list().await;
    assert_eq!(rows.iter().map(|row| &*row.blocked).collect::<Vec<_>>(), ["https://c.example/"]);
    // A late report of the hour before does not begin the present one anew.
    c.send_at(now, client, &violation("https://d.example/")).await.expect("kept");
    let late = now.minus(Duration::from_secs(3_600));
    c.send_at(late, client, &violation("https://d.example/")).await.expect("kept");
    c.send_at(now, client, &violation("https://e.example/")).await.expect("folded");
    assert!(c.list().await.iter().all(|row| row.blocked != "https://e.example/"));
    c.close().await;
}

#[tokio::test]
async fn without_a_recorder_they_are_refused_for_a_while() {
    let c = Collecting::open().await;
    c.house.stop_recorder().await;
    let error = c.send(&violation("inline")).await.expect_err("refused");
    assert!(matches!(error, Error::Unavailable { retry_after: 30, .. }), "{error:?}");
    assert_eq!(c.dropped("unavailable"), 1.0);
    assert_eq!(c.tasks.finish(10 * SECOND, SECOND).await, 0);
    // Nobody takes from the queue any more, so nobody may wait in it.
    assert!(matches!(c.send(&violation("inline")).await, Err(Error::Unavailable { .. })));
}
