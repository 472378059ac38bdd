//! What every engine must do, one file per table, written against `&Engine` and run on each variant. No product code.

mod fixture;

mod api_key;
mod console_link;
mod console_session;
mod custom_event;
mod engagement;
mod error_event;
mod job;
mod job_line;
mod job_many;
mod job_plan;
mod job_waits;
mod metric_series;
mod page_view;
mod performance_metric;
mod plan;
mod report;
mod retain;
mod rollup;
mod rollup_claim;
mod rollup_day;
mod traffic;
mod user_session;
mod visitor_salt;

pub(crate) use fixture::{Fixture, NOON, Sample, day};
pub(crate) use job_line::Line;
pub(crate) use plan::connect_to_planner;
pub(crate) use rollup::replace_hour;

/// Every case on every engine.
macro_rules! contract {
    ($($table:ident { $($case:ident),+ $(,)? })+) => {
        contract!(on_sqlite sqlite $($table { $($case),+ })+);
        contract!(on_postgres postgres $($table { $($case),+ })+);
    };
    ($engine:ident $fixture:ident $($table:ident { $($case:ident),+ })+) => {
        mod $engine {$(
            mod $table {$(
                #[tokio::test]
                async fn $case() {
                    let fixture = crate::contract::Fixture::$fixture().await;
                    crate::contract::$table::$case(&fixture).await;
                    fixture.finish().await;
                }
            )+}
        )+}
    };
}

contract! {
    api_key {
        is_kept_as_it_was_made_and_found_by_its_id,
        is_revoked_once_and_its_use_only_moves_on,
        all_are_listed_a_page_at_a_time,
        the_latest_are_those_that_count_and_then_those_that_ended,
        ended_ones_are_not_counted_and_forgotten_later,
    }
    console_link { is_spent_once_by_whoever_comes_first, expires_and_is_forgotten }
    console_session { lives_until_it_expires_or_is_revoked }
    custom_event { counts_by_name_and_ignores_repeats, an_event_id_counts_once_whatever_page_it_names }
    engagement {
        keeps_the_largest_report_at_the_time_of_the_first,
        an_event_id_counts_once_whatever_page_it_names,
    }
    error_event {
        groups_carry_the_words_of_the_latest,
        the_worst_come_first,
        pages_go_on_after_the_last_row,
        an_event_id_counts_once_whatever_page_it_names,
    }
    job {
        are_claimed_by_priority_and_then_by_number,
        a_claim_has_what_was_added,
        who_lost_his_lease_is_refused,
        who_stalls_once_too_often_is_buried,
        attempts_are_put_off_until_none_is_left,
        delayed_ones_wait_for_their_time,
        given_back_counts_no_attempt,
        a_name_that_is_taken_is_the_one_that_has_it,
        an_idempotency_key_outlives_its_job,
        what_is_finished_is_kept_by_count_and_age,
        a_paused_queue_gives_nothing,
        a_person_cancels_retries_and_removes,
        there_is_none_of_a_transaction_that_was_rolled_back,
        what_breaks_a_rule_fails_alone,
        a_transaction_of_which_a_step_failed_does_not_commit,
    }
    job_many {
        pages_go_on_after_the_last_row,
        a_page_is_in_the_order_in_which_they_begin,
        the_oldest_is_found_among_all_that_wait,
        nobody_gets_the_job_of_another,
        one_of_two_lines_adds_by_a_name,
    }
    job_waits {
        whoever_works_is_not_refused_for_those_who_add,
        what_a_claimant_does_not_wait_for_is_given_back,
        nobody_waits_for_the_name_of_another,
        the_word_of_a_loser_does_not_count_beside_the_winners,
        a_key_is_kept_also_where_another_name_was_found,
        a_round_does_a_part_and_says_so,
        what_was_only_claimed_ahead_does_not_stall,
        a_claim_that_was_lost_has_not_the_token_of_the_next,
    }
    metric_series { fine_samples_give_way_to_coarse_ones }
    page_view {
        a_repeat_changes_nothing,
        an_event_id_counts_once_whatever_page_it_names,
        a_repeat_is_found_among_new_rows,
        keys_are_counted_and_paged,
        bots_are_kept_apart,
        series_put_views_into_their_steps,
        sites_do_not_see_each_other,
    }
    performance_metric {
        the_last_report_wins,
        an_event_id_counts_once_whatever_page_it_names,
        values_come_page_by_page_with_their_key,
    }
    report {
        alike_ones_are_one_row_and_a_count,
        hours_and_sites_are_kept_apart,
        pages_go_on_after_the_last_row,
        old_hours_go_whole,
    }
    retain {
        deletes_whole_hours_in_chunks,
        every_table_can_be_cut,
        of_roll_ups_whole_days_go_and_do_not_come_back,
        bots_go_before_people,
    }
    rollup {
        advancing_marks_every_hour_once,
        late_changes_mark_their_hour,
        a_change_while_counting_is_not_forgotten,
        an_older_count_replaces_no_newer_one,
        marked_hours_are_listed_after_any_of_them,
        an_hour_is_replaced_as_a_whole,
        counted_hours_add_up,
    }
    rollup_claim {
        a_claimed_day_is_left_to_who_claimed_it,
        clocks_that_differ_keep_nobody_from_a_day,
        no_two_claims_are_the_same,
        a_day_is_claimed_as_it_was_listed,
        a_server_that_lacks_a_step_is_noticed,
        a_fold_gives_way_to_a_count,
    }
    rollup_day {
        day_rows_answer_for_their_hours,
        a_replaced_hour_takes_its_day_rows_back,
        a_fold_of_what_changed_meanwhile_is_refused,
        what_changes_while_a_day_is_folded_ends_the_fold,
        a_day_that_had_folded_hours_is_read_by_hours_while_it_is_folded,
        a_day_is_folded_a_few_hours_at_a_time,
        vitals_of_hours_are_listed_by_key,
        vitals_are_read_in_bounded_pages_whatever_is_folded_meanwhile,
        a_day_with_an_hour_to_count_waits,
    }
    traffic { steps_are_replaced_and_compacted, sites_are_kept_apart_and_refusals_with_the_whole }
    user_session {
        counts_grow_only_by_what_is_new,
        a_second_page_ends_the_bounce,
        event_names_are_a_set,
        active_visits_are_found_across_sites,
        a_visit_keeps_its_first_source,
    }
    visitor_salt { everybody_gets_the_same_salt, destroyed_salts_leave_no_trace }
}
