//! What the store promises, one suite over all databases.
//! It must not know how a database keeps it.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that fails by unwrap says where")]

mod blobs;
mod encryption;
mod events;
mod items;
mod jobs;
mod kill;
mod opening;
mod place;
mod records;
mod replicas;
mod room;
mod server;
mod twin;
mod twin_model;
mod waiting;

/// Makes each case a test of each of these databases.
macro_rules! on_each {
    ([$($database:ident),+] $cases:tt) => { $(on_each! { $database $cases })+ };
    ($database:ident {$($module:ident: $($case:ident),+;)+}) => {
        mod $database { $($(
            #[test]
            fn $case() { crate::place::run(crate::$module::$case(crate::place::Place::$database())); }
        )+)+ }
    };
}

on_each! { [memory, file, postgres] {
    records: put_and_get, bodies_are_kept_as_they_are, replace_with_versions, no_update_is_lost, delete_takes_everything_along,
        pages, expiry, owners_are_apart, names_have_limits, handles_share_a_store;
    items: in_order, pages_of_items, all_or_none, many_at_once;
    events: numbered, repeated, fenced;
    blobs: written_then_seen, pieces_meet, dropped_and_swept, only_whole;
    jobs: first_come_first_served, leases_run_out, cancelling, releasing, one_worker_each, with_the_record, held_replacement;
    room: expired_goes, oldest_goes_first, full, stats_add_up, growing_makes_room;
    waiting: wakes_for_each_change;
} }

/// What is about a database that outlives its store.
mod lasting {
    on_each! { [file, postgres] {
        opening: newer_tables, older_tables, opened_again, opened_together;
    } }
}
