//! What every engine must do, one file per capability, written against `&Kv` and run in process, and on Redis and Valkey: a single server, and a cluster of three primaries and three replicas. No product code.

mod channel;
mod counter;
mod fixture;
mod lease;
mod pattern;
mod value;

pub(crate) use fixture::Fixture;

/// A further engine is a further module, with the same list.
macro_rules! contract {
    ($($what:ident { $($case:ident),+ $(,)? })+) => {
        mod in_process { $($(
            #[tokio::test]
            async fn $case() {
                super::run(crate::contract::Fixture::in_process(), async |f| super::$what::$case(f).await).await;
            }
        )+)+ }
        mod on_redis { $($(
            #[tokio::test]
            async fn $case() {
                super::run(crate::contract::Fixture::on_redis(), async |f| super::$what::$case(f).await).await;
            }
        )+)+ }
        mod on_cluster { $($(
            #[tokio::test]
            async fn $case() {
                super::run(crate::contract::Fixture::on_cluster(), async |f| super::$what::$case(f).await).await;
            }
        )+)+ }
        mod on_valkey { $($(
            #[tokio::test]
            async fn $case() {
                super::run(crate::contract::Fixture::on_valkey(), async |f| super::$what::$case(f).await).await;
            }
        )+)+ }
        mod on_valkey_cluster { $($(
            #[tokio::test]
            async fn $case() {
                super::run(crate::contract::Fixture::on_valkey_cluster(), async |f| super::$what::$case(f).await).await;
            }
        )+)+ }
    };
}

/// Runs a case and stops what it started; nothing may have crashed or hang.
async fn run(fixture: Fixture, case: impl AsyncFnOnce(&Fixture)) {
    fixture.start().await;
    case(&fixture).await;
    fixture.finish().await;
}

contract! {
    value {
        an_empty_value_is_one_and_a_missing_one_is_none,
        what_one_writes_the_other_reads,
        a_value_goes_after_its_time,
        many_keys_come_in_their_order,
        bounds_are_kept,
    }
    pattern { a_pattern_deletes_what_it_means_and_counts_it }
    counter {
        everybody_counts_together_and_exactly,
        a_window_begins_with_the_first_and_ends,
        taking_back_never_begins_a_window,
    }
    lease {
        one_holder_at_a_time,
        a_lease_ends_unless_renewed,
        tokens_grow_whatever_became_of_the_lease,
        only_the_holder_may_renew_or_release,
    }
    channel {
        messages_come_in_order_to_all_who_listen,
        channels_are_kept_apart,
        a_silent_channel_is_no_gap,
    }
}
