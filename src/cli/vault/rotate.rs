//! `strongroom vault rotate`: creates a new data key and re-encrypts everything, beside a running
//! server.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, note};
use crate::cli::runtime;
use crate::cli::runtime::block_on;
use crate::vault::{AuditContext, RotationBegun, RotationEnd, RotationPlace, Vault};

/// Target duration of one transaction, which other writers wait for.
const BATCH: Duration = Duration::from_millis(6);
/// Rows of the first transaction, and maximum and minimum rows of one.
const FIRST: u32 = 32;
const MOST: u32 = 512;
const FEWEST: u32 = 4;
/// Interval of progress output on a terminal.
const TELL_EVERY: Duration = Duration::from_millis(200);

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

/// Result of a rotation.
#[derive(Serialize)]
struct RotationReport {
    data_key: u32,
    resumed: bool,
    resealed: u64,
    left: u64,
    destroyed: Vec<u32>,
    damaged: Vec<(String, String)>,
}

impl Rotate {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        rotate(&context.vault()?, self.json, out)
    }
}

/// Rotates the vault to the end, or until Ctrl-C.
pub(in crate::cli) fn rotate(vault: &Vault, json: bool, out: &mut Output) -> Result<(), Failure> {
    let (begun, resealed, place, ended) = block_on(async {
        let begun = vault.rotation().begin(&AuditContext::command_line()).await?;
        let stop =
            runtime::signals().map_err(|error| Failure::new(format!("cannot install signal handlers: {error}")))?;
        let (resealed, place, paused) = reseal(vault, &begun, stop).await?;
        let ended = if paused { None } else { Some(vault.rotation().end(&AuditContext::command_line()).await?) };
        Ok::<_, Failure>((begun, resealed, place, ended))
    })??;
    let (left, destroyed) = match &ended {
        Some(RotationEnd::Destroyed(versions)) => (0, versions.clone()),
        Some(RotationEnd::StillUsed(left)) => (*left, Vec::new()),
        None => (vault.rotation().unfinished()?.unwrap_or(0), Vec::new()),
    };
    let report = RotationReport {
        data_key: begun.data_key,
        resumed: begun.resumed,
        resealed,
        left,
        destroyed,
        damaged: place.damaged,
    };
    if json {
        out.json(&report)?;
    }
    tell(&report, ended.is_none(), json, out)
}

/// Re-encrypts all records until the end or until `stop`, with pauses in which other writers run.
async fn reseal(
    vault: &Vault,
    begun: &RotationBegun,
    stop: impl Future<Output = ()>,
) -> Result<(u64, RotationPlace, bool), Failure> {
    let mut stop = std::pin::pin!(stop);
    let (mut place, mut limit, mut done) = (RotationPlace::default(), FIRST, 0);
    let mut progress = Progress { total: begun.left, told: Instant::now() };
    loop {
        let start = Instant::now();
        let Some(count) = vault.rotation().reseal_some(&mut place, limit).await? else { break };
        let took = start.elapsed();
        done += count;
        progress.tell(done);
        limit = if took > BATCH { limit / 2 } else { limit.saturating_mul(2) }.clamp(FEWEST, MOST);
        tokio::select! {
            biased;
            () = &mut stop => return Ok((done, place, true)),
            () = tokio::time::sleep(took / 2) => {}
        }
    }
    progress.end();
    Ok((done, place, false))
}

fn tell(report: &RotationReport, paused: bool, json: bool, out: &mut Output) -> Result<(), Failure> {
    for (table, row) in &report.damaged {
        note(format!("damaged: table {table}, row {row}; it cannot be re-encrypted"));
    }
    if paused {
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
    total: u64,
    told: Instant,
}

impl Progress {
    fn tell(&mut self, done: u64) {
        if io::stderr().is_terminal() && self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            // Progress output may fail.
            let _ = write!(io::stderr(), "\r{done} of {} records", self.total);
        }
    }

    fn end(&self) {
        if io::stderr().is_terminal() && self.total > 0 {
            let _ = writeln!(io::stderr(), "\r{0} of {0} records", self.total);
        }
    }
}
