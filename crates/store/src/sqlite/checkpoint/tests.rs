//! Tests of `checkpoint`.

use std::time::Duration;

use mainstay_base::units::Size;

use super::*;
use crate::contract::{Fixture, Sample};
use crate::{Record, Settings};

const LONG: Duration = Duration::from_secs(20);

fn settings(checkpoint_at: Size) -> Settings {
    Settings { checkpoint_at, ..Settings::default() }
}

async fn look(f: &Fixture) -> Log {
    let db = f.insight().file();
    ask(db.writer().await.conn().await.unwrap(), LOOK).await.unwrap().1
}

async fn record(f: &Fixture, numbers: std::ops::Range<u32>) {
    for n in numbers {
        f.record([Record::PageView(Sample(n).view())], None).await;
    }
}

#[tokio::test]
async fn a_long_log_is_copied_beside_the_commits_and_begins_anew() {
    let f = Fixture::sqlite_with(&settings(Size::kib(256))).await;
    let (mut recorded, mut longest) = (0, 0);
    tokio::time::timeout(LONG, async {
        loop {
            record(&f, recorded..recorded + 20).await;
            recorded += 20;
            let pages = look(&f).await.pages;
            if pages < longest {
                break;
            }
            longest = pages;
        }
    })
    .await
    .unwrap();
    assert!(longest >= 64, "copied before it was long: {longest} pages");
    f.finish().await;
}

#[tokio::test]
async fn a_short_log_is_left_alone() {
    let f = Fixture::sqlite().await;
    record(&f, 0..20).await;
    let before = look(&f).await;
    assert!(before.left > 20, "the writer copies by itself: {before:?}");
    let db = f.insight().file();
    db.copy_log_when_long().await.unwrap();
    assert_eq!(look(&f).await, before);
    f.finish().await;
}

#[tokio::test]
async fn commits_go_on_while_a_reader_keeps_an_overlong_log() {
    let f = Fixture::sqlite_with(&settings(Size::kib(64))).await;
    record(&f, 0..1).await;
    let db = f.insight().file();
    let mut reader = db.readers().begin().await.unwrap();
    let mut count = async || -> i64 {
        let count = "SELECT count(*) FROM page_views";
        sqlx::query_scalar(count).fetch_one(&mut *reader).await.unwrap()
    };
    assert_eq!(count().await, 1);
    record(&f, 1..80).await;
    db.copy_log_when_long().await.unwrap();
    let kept = look(&f).await;
    assert!(kept.pages > 16 * BOUND && kept.left > 0, "{kept:?}");
    assert_eq!(count().await, 1);
    reader.rollback().await.unwrap();
    db.copy_log_when_long().await.unwrap();
    assert_eq!(look(&f).await.left, 0);
    record(&f, 80..81).await;
    assert!(look(&f).await.pages < 64, "it did not begin anew");
    f.finish().await;
}
