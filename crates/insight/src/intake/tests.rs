//! Tests of `intake`.

use mainstay_base::{Coded, ErrorCode};
use mainstay_store::{Bots, Span};

use super::{Error, Sender};
use crate::fixture::{CURL, DAY, FIREFOX, HOUR, House, SECOND, events, id, page_view, vital};

const URL: &str = "https://example.com/shop/item.html?token=SECRET&utm_source=news#SECRET";

/// Each line: what replaces `HERE` in a request that is otherwise right, and the field the refusal must name.
const BAD_EVENTS: &[(&str, &str)] = &[
    ("5", "events[1]"),
    ("null", "events[1]"),
    ("[]", "events[1]"),
    (r#"{"id":"ID","t":0}"#, "events[1].type"),
    (r#"{"id":"ID","type":7,"t":0}"#, "events[1].type"),
    (r#"{"type":"pageview","t":0}"#, "events[1].id"),
    (r#"{"id":"short","type":"pageview","t":0}"#, "events[1].id"),
    (r#"{"id":"with spaces in the id","type":"pageview","t":0}"#, "events[1].id"),
    (r#"{"id":"ID","type":"pageview"}"#, "events[1].t"),
    (r#"{"id":"ID","type":"pageview","t":-1}"#, "events[1].t"),
    (r#"{"id":"ID","type":"pageview","t":86400001}"#, "events[1].t"),
    (r#"{"id":"ID","type":"pageview","t":"0"}"#, "events[1].t"),
    (r#"{"id":"ID","type":"vital","t":0,"name":"FID","value":1}"#, "events[1].name"),
    (r#"{"id":"ID","type":"vital","t":0,"value":1}"#, "events[1].name"),
    (r#"{"id":"ID","type":"vital","t":0,"name":"LCP"}"#, "events[1].value"),
    (r#"{"id":"ID","type":"vital","t":0,"name":"LCP","value":60001}"#, "events[1].value"),
    (r#"{"id":"ID","type":"vital","t":0,"name":"CLS","value":100.5}"#, "events[1].value"),
    (r#"{"id":"ID","type":"vital","t":0,"name":"LCP","value":-1}"#, "events[1].value"),
    (r#"{"id":"ID","type":"vital","t":0,"name":"LCP","value":"1"}"#, "events[1].value"),
    (r#"{"id":"ID","type":"vital","t":0,"name":"LCP","value":null}"#, "events[1].value"),
    (r#"{"id":"ID","type":"vital","t":0,"name":"LCP","value":1,"nav":"magic"}"#, "events[1].nav"),
    (r#"{"id":"ID","type":"vital","t":0,"name":"LCP","value":1,"attr":[]}"#, "events[1].attr"),
    (r#"{"id":"ID","type":"error","t":0,"message":{}}"#, "events[1].message"),
    (r#"{"id":"ID","type":"error","t":0,"stack":1}"#, "events[1].stack"),
    (r#"{"id":"ID","type":"error","t":0,"line":-3}"#, "events[1].line"),
    (r#"{"id":"ID","type":"error","t":0,"col":1e12}"#, "events[1].col"),
    (r#"{"id":"ID","type":"engagement","t":0}"#, "events[1].ms"),
    (r#"{"id":"ID","type":"engagement","t":0,"ms":1e10}"#, "events[1].ms"),
    (r#"{"id":"ID","type":"engagement","t":0,"ms":1,"scroll":101}"#, "events[1].scroll"),
    (r#"{"id":"ID","type":"custom","t":0}"#, "events[1].name"),
    (r#"{"id":"ID","type":"custom","t":0,"name":""}"#, "events[1].name"),
    (r#"{"id":"ID","type":"custom","t":0,"name":"n","props":7}"#, "events[1].props"),
    (r#"{"id":"ID","type":"custom","t":0,"name":"n","props":{"a":{}}}"#, "events[1].props"),
    (r#"{"id":"ID","type":"custom","t":0,"name":"n","props":{"a":"LONG"}}"#, "events[1].props"),
    (r#"{"id":"ID","type":"custom","t":0,"name":"n","props":{MANY}}"#, "events[1].props"),
    (r#"{"id":"ID","type":"custom","t":0,"name":"n","revenue":5}"#, "events[1].revenue"),
    (
        r#"{"id":"ID","type":"custom","t":0,"name":"n","revenue":{"currency":"EUR"}}"#,
        "events[1].revenue.amount",
    ),
    (
        r#"{"id":"ID","type":"custom","t":0,"name":"n","revenue":{"amount":1,"currency":"eur"}}"#,
        "events[1].revenue.currency",
    ),
];

const BAD_BODIES: &[(&str, &str)] = &[
    ("", "body"),
    ("{", "body"),
    ("\"text\"", "body"),
    ("[1,\"default\"]", "body"),
    ("null", "body"),
    ("{\"v\":1e999}", "body"),
    (r#"{"page":"PAGE","url":"https://h/","events":[EVENT]}"#, "v"),
    (r#"{"v":2,"page":"PAGE","url":"https://h/","events":[EVENT]}"#, "v"),
    (r#"{"v":1,"site":"other","page":"PAGE","url":"https://h/","events":[EVENT]}"#, "site"),
    (r#"{"v":1,"site":5,"page":"PAGE","url":"https://h/","events":[EVENT]}"#, "site"),
    (r#"{"v":1,"url":"https://h/","events":[EVENT]}"#, "page"),
    (r#"{"v":1,"page":"a","url":"https://h/","events":[EVENT]}"#, "page"),
    (r#"{"v":1,"page":"PAGE","events":[EVENT]}"#, "url"),
    (r#"{"v":1,"page":"PAGE","url":"/about","events":[EVENT]}"#, "url"),
    (r#"{"v":1,"page":"PAGE","url":"javascript:alert(1)","events":[EVENT]}"#, "url"),
    (r#"{"v":1,"page":"PAGE","url":"https://h/","ref":5,"events":[EVENT]}"#, "ref"),
    (r#"{"v":1,"page":"PAGE","url":"https://h/","w":-1,"events":[EVENT]}"#, "w"),
    (r#"{"v":1,"page":"PAGE","url":"https://h/","w":"wide","events":[EVENT]}"#, "w"),
    (r#"{"v":1,"page":"PAGE","url":"https://h/"}"#, "events"),
    (r#"{"v":1,"page":"PAGE","url":"https://h/","events":{}}"#, "events"),
    (r#"{"v":1,"page":"PAGE","url":"https://h/","events":[]}"#, "events"),
];

#[tokio::test]
async fn every_refusal_names_its_field_and_keeps_nothing() {
    let house = House::open().await;
    let many = (0..21).map(|n| format!("\"k{n}\":1")).collect::<Vec<_>>().join(",");
    let right = format!(r#"{{"id":"{}","type":"pageview","t":0}}"#, id(1));
    let bad_events = BAD_EVENTS.iter().map(|(event, field)| {
        let event =
            event.replace("ID", &id(2)).replace("LONG", &"x".repeat(2_100)).replace("MANY", &many);
        (events(1, "https://h/", &format!("{right},{event}")), *field)
    });
    let bad_bodies = BAD_BODIES
        .iter()
        .map(|(body, field)| (body.replace("PAGE", &id(1)).replace("EVENT", &right), *field));
    for (body, field) in bad_events.chain(bad_bodies) {
        let error = house.send(&body).await.expect_err(&body);
        assert_eq!(error.code(), ErrorCode::Invalid, "{body}");
        assert_eq!(error.field().map(|(field, _)| field), Some(field), "{body}");
        assert!(error.public().starts_with(field), "{}", error.public());
    }
    assert!(house.insight.list_pages(&house.last(DAY), None, 10).await.expect("pages").is_empty());
    let count = (BAD_EVENTS.len() + BAD_BODIES.len()) as f64;
    assert_eq!(house.metric("mainstay_events_dropped_total{reason=\"invalid\"}"), Some(count));
    house.close().await;
}

#[tokio::test]
async fn too_much_is_refused_before_it_is_looked_at() {
    let house = House::open().await;
    let one = |n| format!(r#"{{"id":"{}","type":"pageview","t":0}}"#, id(n));
    let list = |n: u64| (0..n).map(one).collect::<Vec<_>>().join(",");
    assert!(house.send(&events(1, "https://h/", &list(50))).await.is_ok());
    let error = house.send(&events(1, "https://h/", &list(51))).await.expect_err("51 events");
    assert_eq!((error.code(), error.field().map(|f| f.0)), (ErrorCode::TooLarge, Some("events")));
    // However many are allowed: what is acknowledged is kept.
    let settings = crate::Settings {
        events_max: 5_000,
        body_max: mainstay_base::units::Size::kib(1_024),
        ..crate::Settings::default()
    };
    let room = house.with_settings(settings).await;
    for (count, taken) in [(1_024, true), (1_025, false)] {
        let body = events(2, "https://h/", &list(count));
        let sent = room.accept(&house.sender("192.0.2.1", FIREFOX), body.as_bytes()).await;
        assert_eq!(sent.is_ok(), taken, "{count}: {sent:?}");
    }
    assert_eq!(house.metric("mainstay_events_dropped_total{reason=\"unknown_type\"}"), None);
    let long = "[".repeat(65_537);
    let error = house.send(&long).await.expect_err("too long");
    assert_eq!((error.code(), error.field().map(|f| f.0)), (ErrorCode::TooLarge, Some("body")));
    let deep = house.send(&"[".repeat(65_000)).await.expect_err("too deep");
    assert_eq!(deep.field().map(|f| f.0), Some("body"));
    let bytes =
        house.insight.accept(&house.sender("192.0.2.1", FIREFOX), b"{\"v\":\"\xff\"}").await;
    assert_eq!(bytes.expect_err("not UTF-8").field().map(|f| f.0), Some("body"));
    house.close().await;
}

#[tokio::test]
async fn unknown_kinds_and_fields_are_left_out_and_counted() {
    let house = House::open().await;
    let odd = r#"{"type":"replay","id":[],"value":"x","props":7},{"type":"heat","t":{}}"#;
    assert!(house.send(&events(1, "https://h/", odd)).await.is_ok());
    let view = format!(r#"{{"id":"{}","type":"pageview","t":0,"extra":[1]}},{odd}"#, id(1));
    assert!(house.send(&events(1, "https://h/", &view)).await.is_ok());
    assert_eq!(house.metric("mainstay_events_dropped_total{reason=\"unknown_type\"}"), Some(4.0));
    assert_eq!(house.metric("mainstay_events_accepted_total{type=\"pageview\"}"), Some(1.0));
    house.close().await;
}

#[tokio::test]
async fn a_page_view_is_counted_once_however_often_it_is_sent() {
    let house = House::open().await;
    for _ in 0..3 {
        assert!(house.send(&page_view(1, URL)).await.is_ok());
        assert!(house.send(&events(1, URL, &vital(9, "LCP", 812.5, 5_120))).await.is_ok());
    }
    let pages = house.insight.list_pages(&house.last(HOUR), None, 10).await.expect("pages");
    assert_eq!(pages.len(), 1);
    assert_eq!(
        (pages[0].key.as_deref(), pages[0].visitors, pages[0].pageviews),
        (Some("/shop/item"), 1, 1)
    );
    let view =
        "page_views_total{page=\"/shop/item\",user_type=\"anonymous\",referrer_type=\"direct\"}";
    assert_eq!(house.metric(view), Some(1.0));
    let labels = "{page=\"/shop/item\",device_type=\"desktop\"}";
    assert_eq!(house.metric(&format!("web_vital_lcp_seconds_count{labels}")), Some(1.0));
    assert_eq!(house.metric(&format!("web_vital_lcp_seconds_sum{labels}")), Some(0.8125));
    house.close().await;
}

#[tokio::test]
async fn no_secret_of_any_address_reaches_the_disk_or_the_metrics() {
    let house = House::open().await;
    let url = "https://u:SECRET@h/p?token=SECRET#SECRET";
    let all = [
        format!(r#"{{"id":"{}","type":"pageview","t":0}}"#, id(1)),
        format!(
            r#"{{"id":"{}","type":"vital","t":0,"name":"LCP","value":9,"attr":{{"url":"{url}","a?b=SECRET":"x"}}}}"#,
            id(2)
        ),
        format!(
            r#"{{"id":"{}","type":"error","t":0,"name":"E {url}","message":"no {url}, SECRET@mail.example","stack":"at f ({url}:1:2)\nf@{url}:1:2","src":"{url}"}}"#,
            id(3)
        ),
        format!(r#"{{"id":"{}","type":"engagement","t":0,"ms":5}}"#, id(4)),
        format!(
            r#"{{"id":"{}","type":"custom","t":0,"name":"go {url}","props":{{"{url}":"{url}","q":"/x?q=SECRET"}}}}"#,
            id(5)
        ),
    ];
    let body = format!(
        r#"{{"v":1,"page":"{}","url":"{url}","ref":"https://r.example/{url}","events":[{}]}}"#,
        id(1),
        all.join(",")
    );
    let agent = format!("{FIREFOX} SECRET");
    let sender = house.sender("203.0.113.77", &agent);
    assert!(house.insight.accept(&sender, body.as_bytes()).await.is_ok());
    house.stop_recorder().await;
    let (files, metrics) = (house.files(), house.registry.encode_text());
    let holds = |what: &str| memchr::memmem::find(&files, what.as_bytes()).is_some();
    assert!(holds("r.example") && holds("203.0.113.0") && holds("Firefox 128 on Linux"));
    for secret in ["SECRET", "203.0.113.77", "Gecko"] {
        let at = memchr::memmem::find(&files, secret.as_bytes());
        let found = at.map(|at| String::from_utf8_lossy(&files[at.saturating_sub(60)..at + 20]));
        assert_eq!(found, None, "{secret}");
    }
    assert!(!metrics.contains("SECRET") && metrics.contains("errors_total{type=\"other\""));
}

#[tokio::test]
async fn who_opts_out_is_a_page_view_and_nothing_more() {
    let house = House::open().await;
    let sender = Sender { opted_out: true, ..house.sender("192.0.2.1", FIREFOX) };
    let body = format!(
        r#"{{"v":1,"page":"{0}","url":"https://h/p?utm_source=PRIVATE&utm_term=PRIVATE","ref":"https://r.example/PRIVATE","events":[{{"id":"{0}","type":"pageview","t":0}},{{"id":"{1}","type":"custom","t":0,"name":"n"}}]}}"#,
        id(1),
        id(2)
    );
    assert!(house.insight.accept(&sender, body.as_bytes()).await.is_ok());
    let points = house.insight.list_visitors(&house.last(HOUR), HOUR).await.expect("points");
    assert_eq!(points.iter().map(|p| (p.visitors, p.pageviews)).max(), Some((0, 1)));
    let sources = house.insight.list_sources(&house.last(HOUR), None, 9).await.expect("sources");
    assert_eq!(sources[0].key.as_deref(), Some("r.example"));
    house.stop_recorder().await;
    let files = house.files();
    assert!(memchr::memmem::find(&files, b"PRIVATE").is_none());
    assert!(memchr::memmem::find(&files, b"192.0.2.0").is_none(), "a visit was begun");
}

#[tokio::test]
async fn bots_are_kept_apart_with_the_reason() {
    let house = House::open().await;
    let prefetch = Sender { prefetch: true, ..house.sender("192.0.2.3", FIREFOX) };
    let senders = [
        house.sender("192.0.2.2", CURL),
        prefetch,
        house.sender("192.0.2.4", ""),
        house.sender("192.0.2.5", FIREFOX),
    ];
    for (n, sender) in senders.iter().enumerate() {
        let body = page_view(n as u64, "https://h/");
        assert!(house.insight.accept(sender, body.as_bytes()).await.is_ok());
    }
    for (bots, views) in [(Bots::Exclude, 1), (Bots::Only, 3), (Bots::Include, 4)] {
        let span = Span { bots, ..house.last(HOUR) };
        let pages = house.insight.list_pages(&span, None, 9).await.expect("pages");
        assert_eq!((pages[0].visitors, pages[0].pageviews), (views, views), "{bots:?}");
    }
    assert_eq!(house.insight.count_visitors_now("default").await.ok(), Some(1));
    let view = "page_views_total{page=\"/\",user_type=\"anonymous\",referrer_type=\"direct\"}";
    assert_eq!(house.metric(view), Some(1.0));
    house.stop_recorder().await;
    let files = house.files();
    for reason in ["http library", "prefetch", "no user agent"] {
        assert!(memchr::memmem::find(&files, reason.as_bytes()).is_some(), "{reason}");
    }
}

#[tokio::test]
async fn a_visit_spans_midnight_and_a_restart() {
    let house = House::open_at(crate::fixture::midnight().plus(DAY).minus(300 * SECOND)).await;
    assert!(house.send(&page_view(1, "https://h/a")).await.is_ok());
    house.clock.advance(600 * SECOND);
    assert!(house.send(&page_view(2, "https://h/b")).await.is_ok());
    let house = house.reopen().await;
    house.clock.advance(1_500 * SECOND);
    assert!(house.send(&page_view(3, "https://h/c")).await.is_ok());
    let total = |house: &House| {
        let span = house.last(2 * DAY);
        let insight = house.insight.clone();
        async move {
            let devices = insight.list_devices(&span, None, 9).await.expect("devices");
            let visits = insight.list_visitors(&span, DAY).await.expect("visits");
            (
                devices[0].visitors,
                devices[0].pageviews,
                visits.iter().map(|p| p.bounces).sum::<i64>(),
            )
        }
    };
    assert_eq!(total(&house).await, (1, 3, 0), "one visitor in one visit");
    // After the visit the new day's pseudonym counts.
    house.clock.advance(1_801 * SECOND);
    assert!(house.send(&page_view(4, "https://h/d")).await.is_ok());
    assert_eq!(total(&house).await, (2, 4, 1));
    house.close().await;
}

#[tokio::test]
async fn what_a_page_left_open_reports_begins_no_visit() {
    let house = House::open().await;
    assert!(house.send(&page_view(1, "https://h/a")).await.is_ok());
    house.clock.advance(2 * HOUR);
    let late = format!(
        r#"{},{{"id":"{}","type":"engagement","t":7200000,"ms":9000}}"#,
        vital(2, "CLS", 0.01, 7_200_000),
        id(3)
    );
    assert!(house.send(&events(1, "https://h/a", &late)).await.is_ok());
    let points = house.insight.list_visitors(&house.last(3 * HOUR), DAY).await.expect("points");
    let sum = |of: fn(&crate::query::VisitorsPoint) -> i64| points.iter().map(of).sum::<i64>();
    assert_eq!((sum(|p| p.bounces), sum(|p| p.engaged_ms), sum(|p| p.visitors)), (1, 9_000, 1));
    house.close().await;
}

#[tokio::test]
async fn events_that_cannot_be_kept_are_to_be_sent_again() {
    let house = House::open().await;
    assert!(house.send(&page_view(1, "https://h/")).await.is_ok());
    house.stop_recorder().await;
    let error = house.send(&page_view(2, "https://h/")).await.expect_err("nobody records");
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    assert_eq!((error.code(), error.retry_after()), (ErrorCode::Unavailable, Some(30)));
    assert_eq!(house.metric("mainstay_events_accepted_total{type=\"pageview\"}"), Some(1.0));
}

#[tokio::test]
async fn where_visitors_came_from_is_told_apart() {
    let house = House::open().await;
    let cases = [
        ("https://www.h.example/other?q=1", "internal"),
        ("https://www.google.de/search?q=SECRET", "search"),
        ("https://old.reddit.com/r/x", "social"),
        ("https://blog.example/post.html#c", "external"),
        ("android-app://com.example", "direct"),
        ("", "direct"),
    ];
    for (n, (referrer, _)) in cases.iter().enumerate() {
        let n = n as u64;
        let body = page_view(n, &format!("https://h.example/{n}"))
            .replace(r#""events""#, &format!(r#""ref":"{referrer}","events""#));
        // A visitor of its own each: a visit has one source.
        let sender = house.sender(&format!("192.0.2.{n}"), FIREFOX);
        assert!(house.insight.accept(&sender, body.as_bytes()).await.is_ok());
    }
    for (referrer, kind) in cases {
        let series = format!(
            "page_views_total{{page=\"/{{id}}\",user_type=\"anonymous\",referrer_type=\"{kind}\"}}"
        );
        let count = cases.iter().filter(|case| case.1 == kind).count() as f64;
        assert_eq!(house.metric(&series), Some(count), "{referrer}");
    }
    let sources = house.insight.list_sources(&house.last(HOUR), None, 9).await.expect("sources");
    let found: Vec<_> = sources.iter().map(|row| (row.key.as_deref(), row.pageviews)).collect();
    let want =
        [(None, 3), (Some("blog.example"), 1), (Some("google.de"), 1), (Some("old.reddit.com"), 1)];
    assert_eq!(found, want);
    house.close().await;
}

#[tokio::test]
async fn a_visit_counts_under_its_first_source_also_after_a_restart() {
    let house = House::open().await;
    let views = ["https://h/?utm_source=letter", "https://h/b", "https://h/c?utm_source=other"];
    for (n, url) in (0..).zip(views) {
        assert!(house.send(&page_view(n, url)).await.is_ok());
        house.clock.advance(SECOND);
    }
    let house = house.reopen().await;
    assert!(house.send(&page_view(3, "https://h/d")).await.is_ok());
    let sources = async |house: &House| -> Vec<_> {
        let rows = house.insight.list_sources(&house.last(2 * HOUR), None, 9).await;
        let rows = rows.expect("sources").into_iter();
        rows.map(|row| (row.key, row.visitors, row.pageviews)).collect()
    };
    assert_eq!(sources(&house).await, [(Some("letter".into()), 1, 4)]);
    // The next visit has a source of its own.
    house.clock.advance(HOUR);
    assert!(house.send(&page_view(4, "https://h/e")).await.is_ok());
    assert_eq!(sources(&house).await, [(Some("letter".into()), 1, 4), (None, 1, 1)]);
    house.close().await;
}

#[tokio::test]
async fn an_event_sent_again_for_another_page_is_the_same_event() {
    let house = House::open().await;
    let sent = format!(
        r#"{{"id":"{}","type":"pageview","t":0}},{}"#,
        crate::fixture::id(70),
        vital(71, "LCP", 900.0, 5)
    );
    for page in [1, 2] {
        assert!(house.send(&events(page, "https://h/", &sent)).await.is_ok());
    }
    let pages = house.insight.list_pages(&house.last(HOUR), None, 9).await.expect("pages");
    assert_eq!(pages.iter().map(|row| row.pageviews).collect::<Vec<_>>(), [1]);
    for kind in ["pageview", "vital"] {
        let series = format!("mainstay_events_accepted_total{{type=\"{kind}\"}}");
        assert_eq!(house.metric(&series), Some(1.0), "{kind}");
    }
    house.close().await;
}

#[tokio::test]
async fn a_store_that_is_away_refuses_events_until_it_is_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("insight.db");
    std::fs::write(&file, "no database. ".repeat(900)).expect("written");
    let house = House::open_on(dir).await;
    let group = mainstay_base::task::Group::new();
    house.store.start_reopening(&group);
    house.insight.spawn(&group);
    let error = house.send(&page_view(1, "https://h/")).await.expect_err("away");
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
    assert!(house.insight.list_pages(&house.last(HOUR), None, 9).await.is_err());
    std::fs::remove_file(&file).expect("removed");
    assert!(house.store.wait_insight(group.stop()).await);
    assert!(house.send(&page_view(1, "https://h/")).await.is_ok());
    assert_eq!(group.finish(10 * SECOND, SECOND).await, 0);
    assert_eq!(group.crashes(), []);
    house.close().await;
}
