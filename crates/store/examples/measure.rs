//! throwaway
#![allow(warnings, clippy::all)]
use std::sync::Arc;
use std::time::{Duration, Instant};
use mainstay_base::{agent::AgentClass, task::Group, Clock, Entropy, Timestamp};
use mainstay_store::*;
use mainstay_telemetry::metrics::Registry;
use uuid::Uuid;

fn cpu() -> f64 {
    let s = std::fs::read_to_string("/proc/self/schedstat").unwrap();
    let mut tot = 0.0;
    for e in std::fs::read_dir("/proc/self/task").unwrap() {
        let p = e.unwrap().path().join("schedstat");
        if let Ok(s) = std::fs::read_to_string(p) { tot += s.split(' ').next().unwrap().parse::<f64>().unwrap(); }
    }
    tot / 1000.0
}
fn batch(site: &Arc<str>, entropy: &Entropy, visit: u128, clock: &Clock, vitals: bool) -> Batch {
    let at = clock.now();
    let id = Uuid::from_bytes(entropy.bytes::<16>().unwrap());
    let sid = Uuid::from_u128(((1u128<<60) + visit) << 64);
    let page_id: String = if std::env::var_os("RANDOM").is_some() { id.simple().to_string() } else { format!("{:012x}{:016x}", at.as_micros()/1000, id.as_u128() as u64) };
    let mut records = vec![Record::PageView(page_view::Row {
        id, site: site.clone(), recorded_at: at, page_id: page_id.clone(), session_id: Some(sid), visitor_id: Some(sid),
        path: format!("/blog/post-{}", visit % 50), referrer_host: Some("news.example".into()), referrer_path: Some("/".into()), source: Some("news.example".into()),
        campaign: None, device: AgentClass::Desktop, browser: Some("Firefox".into()), os: Some("Linux".into()), country: None, width: Some(1280), release: None, bot_reason: None })];
    if vitals { records.clear(); for name in ["LCP","INP","CLS","FCP","TTFB"] { records.push(Record::Vital(performance_metric::Row {
        id: Uuid::from_bytes(entropy.bytes::<16>().unwrap()), site: site.clone(), timestamp: at, page_id: page_id.clone(), session_id: Some(sid), metric_type: "core_web_vital", metric_name: name.into(),
        value: 812.5, page_ms: 5000, rating: "good", navigation: "navigate".into(), url: "/blog/post".into(), device: AgentClass::Desktop, release: None, additional_data: Some("{\"element\":\"img.hero\"}".into()), bot: false })); } }
    Batch { records, visit: Some(user_session::Touch { session_id: sid, site: site.clone(), visitor_id: sid, at, ip_address: "203.0.113.0".into(), user_agent: Some("Firefox 128 on Linux".into()),
        referrer: Some("news.example".into()), country_code: None, device: AgentClass::Desktop, browser: Some("Firefox".into()), os: Some("Linux".into()), bot: false }) }
}
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let a: Vec<String> = std::env::args().collect();
    let (n, c): (usize, usize) = (a[1].parse().unwrap(), a[2].parse().unwrap());
    let vitals = a.get(3).map_or(false, |v| v == "vitals");
    let views_per_visit: usize = a.get(4).map_or(1, |v| v.parse().unwrap());
    let dir = std::path::PathBuf::from(a.get(5).cloned().unwrap_or("/tmp/measure".into()));
    let _ = std::fs::remove_dir_all(&dir); std::fs::create_dir_all(&dir).unwrap();
    let clock = Clock::System; let entropy = Entropy::seeded(1); let site: Arc<str> = "default".into();
    // generator alone
    let t = cpu(); for i in 0..n.min(50_000) { std::hint::black_box(batch(&site, &entropy, i as u128, &clock, vitals)); } let gen_us = (cpu() - t) / n.min(50_000) as f64;
    let settings = Settings::default();
    let store = Store::open(&settings, &dir, clock.clone()).await.unwrap();
    let group = Group::new();
    let reg = Registry::new(&Default::default(), clock.clone());
    let rec = store.start_recorder(&settings, &group, &reg);
    let per = n / c;
    let work = Group::new();
    let t0 = cpu(); let w0 = Instant::now();
    let c0 = *rec.committed().borrow();
    let done = Arc::new(tokio::sync::Semaphore::new(0));
    for k in 0..c { let (rec, site, entropy, clock, done) = (rec.clone(), site.clone(), entropy.clone(), clock.clone(), done.clone());
        work.spawn_child("w", async move { for i in 0..per { rec.record(batch(&site, &entropy, ((i * c + k) / views_per_visit) as u128, &clock, vitals)).await.unwrap(); } done.add_permits(1); }); }
    let _ = done.acquire_many(c as u32).await.unwrap();
    let el = w0.elapsed(); let used = cpu() - t0; let commits = *rec.committed().borrow() - c0;
    println!("n={n} c={c} vitals={vitals} commits={commits} per_commit={:.1} cpu/event={:.2}us (generator {:.2}) rate={:.0}/s cpu/commit={:.1}us", n as f64 / commits as f64, used / n as f64, gen_us, n as f64 / el.as_secs_f64(), used / commits as f64);
    group.finish(Duration::from_secs(5), Duration::from_secs(1)).await;
    store.close().await.unwrap();
}
