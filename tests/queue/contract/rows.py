"""Where the list of tests comes from: what goes wrong in queues, and the test that shows it does not here.

The first table is what an engine must be able to do (tried out on other queues before ours was
built), the second the hazards known from twenty queues, by their number in that list. Names are
test functions below `tests/`; `test_rows` holds the tables to them.
"""

ABILITIES: dict[str, tuple[str, ...]] = {
    "add, with a priority": ("test_higher_priority_goes_first_then_age",),
    "claim by hand, with a token": (
        "test_a_job_goes_from_pending_through_processing_to_completed",
        "test_an_empty_queue_gives_nothing",
    ),
    "priority order": (
        "test_higher_priority_goes_first_then_age",
        "test_nobody_starves_age_outgrows_priority",
    ),
    "kinds do not mix": ("test_each_kind_has_a_line_of_its_own",),
    "progress seen by another": ("test_progress_is_seen_by_others",),
    "lease renewed with the right token": (
        "test_heartbeats_keep_a_lease_alive",
        "test_progress_keeps_a_lease_alive_too",
    ),
    "lease not renewed with a wrong one": (
        "test_progress_is_refused_to_who_never_had_the_job",
        "test_a_heartbeat_renews_only_ones_own_leases",
    ),
    "wrong token refused": (
        "test_a_token_that_a_worker_made_up_is_refused",
        "test_the_token_of_another_job_or_another_worker_is_refused",
        "test_another_worker_without_a_token_is_not_believed",
        "test_nobody_reports_on_a_job_that_nobody_has",
    ),
    "completed from a fresh process": ("test_a_worker_that_outlives_the_queue_keeps_its_job",),
    "second completion refused": ("test_a_second_completion_by_another_is_refused",),
    "result kept": ("test_a_result_is_kept_with_the_job",),
    "fail, delay, retry, give up with the reason": (
        "test_a_failure_is_tried_again_after_a_backoff_and_given_up_the_third_time",
        "test_a_failed_job_is_nobodys_before_its_backoff_is_over",
    ),
    "retry from failed, attempts anew": ("test_a_failed_job_starts_anew_when_retried",),
    "backoff with jitter": ("test_failures_at_the_same_moment_are_spread_out",),
    "unrecoverable error skips retries": ("test_an_error_no_retry_can_cure_fails_the_job_at_once",),
    "stalled job recovered, its priority kept": (
        "test_a_silent_worker_loses_its_job_to_the_next_one",
        "test_a_job_that_comes_back_keeps_its_priority_and_its_place",
    ),
    "late completion refused": (
        "test_a_worker_that_was_stopped_and_goes_on_after_its_lease_is_refused",
        "test_a_worker_that_was_stopped_is_refused_when_its_job_is_back_in_line",
        "test_a_worker_that_was_stopped_is_refused_when_another_has_finished_its_job",
    ),
    "poison job fails": ("test_a_job_that_kills_its_workers_ends_in_failed",),
    "delay": ("test_a_job_is_not_handed_out_before_its_time", "test_a_delayed_job_holds_nobody_up"),
    "take out a waiting job": ("test_a_waiting_job_can_be_cancelled_and_brought_back",),
    "call off a running job": ("test_the_worker_of_a_cancelled_job_is_told_so",),
    "same id adds once": ("test_a_job_offered_twice_is_one_job",),
    "deduplication by key": ("test_the_same_idempotency_key_means_the_same_job_also_after_a_restart",),
    "logs": ("test_what_happened_to_a_job_can_be_read_afterwards",),
    "change of priority": (
        "test_priority_can_be_changed_while_a_job_waits",
        "test_only_a_waiting_job_changes_its_priority",
    ),
    "counts": ("test_the_counts_are_those_of_the_jobs",),
    "listing": ("test_lists_are_paged_and_filtered",),
    "drained by many, each job once": (
        "test_two_workers_empty_a_queue_together_each_job_once",
        "test_each_job_goes_to_one_worker_however_many_ask",
    ),
    "handed back by its worker": (
        "test_a_released_job_has_lost_no_attempt",
        "test_a_worker_that_says_farewell_hands_back_what_it_holds_uncounted",
    ),
}

CRASH = "test_nothing_answered_is_undone_by_the_death_of_the_process_at_any_change"
POWER_CUT = "test_nothing_answered_is_undone_by_a_power_cut_after_any_change"
FAILING = "test_a_call_that_the_disk_fails_is_refused_and_works_when_the_disk_does"

HAZARDS: dict[int, tuple[str, tuple[str, ...]]] = {
    1: (
        "crash while publishing",
        (CRASH, POWER_CUT, "test_a_disk_that_takes_a_few_bytes_at_a_time_gets_them_all"),
    ),
    2: ("folder not synced on a move", (POWER_CUT,)),
    3: ("crash while claiming", (CRASH, POWER_CUT)),
    4: ("record edited in place", (CRASH, POWER_CUT)),
    5: ("crash while completing", (CRASH, POWER_CUT)),
    6: ("torn record", (POWER_CUT, "test_a_file_that_is_no_job_is_set_aside_and_the_rest_goes_on")),
    7: ("corrupt file", ("test_a_job_damaged_on_disk_is_set_aside_when_its_turn_comes",)),
    8: (
        "job in two states",
        (CRASH, POWER_CUT, "test_of_a_job_in_two_folders_the_one_further_along_counts"),
    ),
    9: (
        "orphans at start",
        (
            "test_a_worker_that_outlives_the_queue_keeps_its_job",
            "test_a_worker_that_does_not_outlive_it_loses_its_job_a_lease_later",
        ),
    ),
    10: (
        "late completion by an old owner",
        (
            "test_a_worker_that_was_stopped_is_refused_when_another_has_finished_its_job",
            "test_a_zombie_that_gets_the_job_anew_must_use_its_new_token",
            "test_a_zombie_is_refused_by_the_next_life_too",
            "test_the_epoch_rises_each_time_a_job_comes_back_and_never_falls",
        ),
    ),
    11: (
        "report repeated",
        (
            "test_the_same_report_by_the_same_holder_is_answered_again",
            "test_the_same_report_is_answered_again_also_after_a_restart",
            "test_what_has_ended_one_way_cannot_end_another_way",
        ),
    ),
    12: (
        "claim reply lost",
        (
            "test_a_claim_whose_reply_was_lost_is_repeated_and_gets_the_same_job",
            "test_a_claim_whose_reply_was_lost_in_the_crash_gets_the_same_job",
            "test_a_claim_whose_reply_was_lost_is_over_after_its_first_short_lease",
            "test_a_claim_id_used_again_after_its_job_has_ended_gets_the_next_one",
        ),
    ),
    13: (
        "sweeper races completion",
        (
            "test_the_sweeper_takes_nothing_that_was_finished_at_the_last_moment",
            "test_a_sweep_and_a_late_completion_at_once_make_one_outcome",
        ),
    ),
    14: (
        "poison job",
        (
            "test_a_job_that_kills_its_workers_ends_in_failed",
            "test_failures_and_silences_count_together_also_across_restarts",
        ),
    ),
    15: ("rescue by age", ("test_an_hour_of_work_is_not_taken_away_for_its_age",)),
    16: (
        "worker restarts under its name",
        ("test_a_worker_that_starts_again_under_a_new_name_has_nothing_of_the_old_one",),
    ),
    17: ("path traversal", ("test_a_job_that_makes_no_sense_is_refused_by_the_name_of_the_field",)),
    18: ("ambiguous file names", ("test_names_that_could_be_mistaken_for_each_other_are_not",)),
    21: (
        "clock set",
        (
            "test_a_wall_clock_that_is_set_changes_no_lease",
            "test_a_wall_clock_that_is_set_keeps_no_silent_worker_alive",
            "test_delayed_jobs_go_by_the_wall_clock",
            "test_the_order_holds_when_the_wall_clock_is_set_back",
        ),
    ),
    20: (
        "clocks of machines differ",
        ("test_a_job_from_a_machine_whose_clock_is_ahead_does_not_wait_for_ever",),
    ),
    23: ("disk full", (FAILING,)),
    24: (
        "read-only or failing disk",
        (
            FAILING,
            "test_a_start_that_the_disk_fails_is_refused_and_the_next_one_finds_everything",
            "test_leases_are_frozen_not_lost_while_the_disk_fails",
        ),
    ),
    26: ("two owners", ("test_a_second_owner_is_refused",)),
    28: (
        "numbers given twice",
        (
            "test_numbers_are_never_given_twice",
            "test_numbers_given_out_at_once_are_all_different",
            "test_numbers_are_never_given_twice_after_a_restart",
            POWER_CUT,
        ),
    ),
    29: (
        "cancel races",
        (
            "test_a_completion_after_a_cancellation_is_refused_and_the_job_stays_cancelled",
            "test_a_cancellation_is_of_that_claim_alone",
        ),
    ),
    30: ("retry storm", ("test_failures_at_the_same_moment_are_spread_out",)),
    31: (
        "thundering claims",
        ("test_a_waiting_claim_gets_the_job_that_comes_and_one_job_wakes_one",),
    ),
    33: ("permissions", ("test_only_we_can_read_the_queue",)),
    35: ("listing while moving", ("test_a_list_read_page_by_page_misses_no_job_that_moves_meanwhile",)),
}

ELSEWHERE: dict[int, str] = {
    19: "ids are lower-case ASCII by their pattern, which 17 shows",
    22: "times without a zone are read as UTC; what is no time is refused by name, which 17 shows",
    25: "the cost of a claim and of a start at 100,000 jobs is measured in bench/",
    27: "a network file system cannot be had in a test",
    32: "the loop's longest pause at 100,000 jobs is measured in bench/",
    34: "what fsync leaves undone on macOS, only a Mac can show",
}
"""Hazards that no test of the suite shows, and why."""
