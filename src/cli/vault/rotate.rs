//! `strongroom vault rotate`: creates a new data key and re-encrypts everything, beside a running
//! server.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use clap::Args;

use crate::broker::{RotationReport, VaultAdmin};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, note};
use crate::cli::runtime::{self, block_on};

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

impl Rotate {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        rotate(&context.admin()?, self.json, out)
    }
}

/// Rotates to the end, or until Ctrl-C.
pub(in crate::cli) fn rotate(admin: &VaultAdmin, json: bool, out: &mut Output) -> Result<(), Failure> {
    let report = block_on(async {
        let stop = runtime::signals()?;
        let mut progress = Progress { shown: Instant::now() };
        Ok::<_, Failure>(admin.rotate(stop, |done, total| progress.show(done, total)).await?)
    })??;
    if json {
        out.json(&report)?;
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
