//! `cargo bench`: Strongroom beside the limits of this machine, in one run: one table, and the same as JSON.
//!
//! Everything is started here: the release binary on fresh vaults, a bare warp server, raw SQLite, the sandbox, and the
//! load. Absolute figures move from machine to machine and from hour to hour; the ratios are taken within each round, and
//! are what counts. Options: `-- --quick` (about a minute), `-- --full` (a million credentials; needs 4 GB of disk),
//! `-- --only PART`, `-- --soak MINUTES`, `-- --binary FILE`, `-- --compare A.json B.json`. docs/performance.md says how to read it.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    missing_docs,
    unreachable_pub,
    reason = "figures for people: counts far below 2^52, in a program that nobody links"
)]

mod abuse;
mod bounds;
mod client;
mod compare;
mod fill;
mod growth;
mod installation;
mod limits;
mod load;
mod options;
mod overload;
mod prepare;
mod report;
mod rows;
mod soak;
mod stats;
mod waits;

use options::{Options, Task};
use report::Report;

fn main() {
    match options::read() {
        Task::BareWarp => limits::warp_server::run(),
        Task::Compare(before, after) => compare::print(&before, &after),
        Task::Soak(minutes, options) => soak(minutes, &options),
        Task::Measure(options) => measure(&options),
    }
}

fn soak(minutes: u64, options: &Options) {
    let mut report = Report::begin(options);
    soak::measure(minutes, &mut report);
    report.end();
}

fn measure(options: &Options) {
    let mut report = Report::begin(options);
    if options.wants("table") {
        rows::measure(options, &mut report);
    }
    if options.wants("growth") {
        growth::measure(options, &mut report);
    }
    if options.wants("footprint") {
        bounds::footprint(&mut report);
    }
    if options.wants("bounds") {
        bounds::measure(options, &mut report);
    }
    if options.wants("overload") && !options.quick {
        overload::measure(&mut report);
    }
    if options.wants("abuse") && !options.quick {
        abuse::measure(&mut report);
    }
    report.end();
}
