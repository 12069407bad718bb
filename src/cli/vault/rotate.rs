//! `strongroom vault rotate`: creates a new data key and re-encrypts everything, beside a running
//! server.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use crate::broker::{Broker, RotationReport};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, note};
use crate::cli::runtime;
use crate::cli::runtime::block_on;
use crate::vault::AuditContext;

/// Interval of progress output on a terminal.
const SHOW_EVERY: Duration = Duration::from_millis(200);

/// Create a new data key and re-encrypt everything with it, then destroy the old one
///
/// It works beside a running server. Ctrl-C pauses it; run the command again to continue, also
/// after a crash. Older backups still need the master key of their time.
#[derive(Debug, Args)]
pub(in crate::cli) struct Rotate {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Result of a rotation in JSON.
#[derive(Serialize)]
struct RotationRow<'r> {
    data_key: u32,
    resumed: bool,
    resealed: u64,
    left: u64,
    destroyed: &'r [u32],
    damaged: &'r [(String, String)],
}

impl<'r> From<&'r RotationReport> for RotationRow<'r> {
    fn from(report: &'r RotationReport) -> Self {
        let RotationReport { data_key, resumed, resealed, left, destroyed, damaged, .. } = report;
        Self { data_key: *data_key, resumed: *resumed, resealed: *resealed, left: *left, destroyed, damaged }
    }
}

impl Rotate {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        rotate(&context.local_broker()?, self.json, out)
    }
}

/// Rotates to the end, or until Ctrl-C.
pub(in crate::cli) fn rotate(broker: &Broker, json: bool, out: &mut Output) -> Result<(), Failure> {
    let report = block_on(async {
        let stop =
            runtime::signals().map_err(|error| Failure::new(format!("cannot install signal handlers: {error}")))?;
        let mut progress = Progress { shown: Instant::now() };
        let who = AuditContext::command_line();
        let rotated = broker.rotate(&who, stop, |done, total| progress.show(done, total)).await;
        rotated.map_err(Failure::from)
    })??;
    if json {
        out.json(&RotationRow::from(&report))?;
    }
    tell(&report, json, out)
}

fn tell(report: &RotationReport, json: bool, out: &mut Output) -> Result<(), Failure> {
    for (table, row) in &report.damaged {
        note(format!("damaged: table {table}, row {row}; it cannot be re-encrypted"));
    }
    if report.paused {
        return Err(Failure::new(format!("paused: {} records still use an old data key", report.left))
            .advise("run `strongroom vault rotate` to continue"));
    }
    if report.left > 0 {
        return Err(Failure::new(format!(
            "{} records still use an old data key, which is therefore kept",
            report.left
        ))
        .advise(
            "`strongroom vault verify` names damaged ones; remove them (`strongroom credential remove`), then run this again",
        ));
    }
    if json {
        return Ok(());
    }
    let destroyed: Vec<String> = report.destroyed.iter().map(ToString::to_string).collect();
    out.line(format!(
        "everything is encrypted with data key {} ({} records re-encrypted); destroyed data key {}",
        report.data_key,
        report.resealed,
        destroyed.join(", ")
    ))
}

/// Progress output on a terminal.
struct Progress {
    shown: Instant,
}

impl Progress {
    fn show(&mut self, done: u64, total: u64) {
        if total > 0 && io::stderr().is_terminal() && (self.shown.elapsed() >= SHOW_EVERY || done >= total) {
            self.shown = Instant::now();
            let end = if done >= total { "\n" } else { "" };
            // Progress output may fail.
            let _ = write!(io::stderr(), "\r{done} of {total} records{end}");
        }
    }
}
