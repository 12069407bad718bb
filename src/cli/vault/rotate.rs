//! `strongroom vault rotate`: a new data key, and everything sealed anew under it while the server goes on.

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

/// A transaction is to take about so long: whoever writes meanwhile waits for one of them at most.
const BATCH: Duration = Duration::from_millis(6);
/// Rows in the first transaction, and the most and the fewest in one.
const FIRST: u32 = 32;
const MOST: u32 = 512;
const FEWEST: u32 = 4;
/// How often progress is told on a terminal.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// Make a new data key and seal everything anew under it, beside a running server; then destroy the old one
///
/// Ctrl-C pauses it, and the same command goes on where it was left, also after a crash. Backups of before keep a keyring
/// of their own and need the master key of their day.
#[derive(Debug, Args)]
pub(in crate::cli) struct Rotate {
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// How it ended.
#[derive(Serialize)]
struct Report {
    data_key: u32,
    resumed: bool,
    resealed: u64,
    left: u64,
    destroyed: Vec<u32>,
    damaged: Vec<(String, String)>,
}

impl Rotate {
    /// Runs the command.
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        rotate(&context.vault()?, self.json, out)
    }
}

/// Rotates the vault to the end, or until Ctrl-C.
pub(in crate::cli) fn rotate(vault: &Vault, json: bool, out: &mut Output) -> Result<(), Failure> {
    let (begun, resealed, place, ended) = block_on(async {
        let begun = vault.begin_rotation(&AuditContext::command_line()).await?;
        let stop = runtime::signals().map_err(|error| Failure::new(format!("cannot wait for signals: {error}")))?;
        let (resealed, place, paused) = reseal(vault, &begun, stop).await?;
        let ended = if paused { None } else { Some(vault.end_rotation(&AuditContext::command_line()).await?) };
        Ok::<_, Failure>((begun, resealed, place, ended))
    })??;
    let (left, destroyed) = match &ended {
        Some(RotationEnd::Destroyed(versions)) => (0, versions.clone()),
        Some(RotationEnd::StillUsed(left)) => (*left, Vec::new()),
        None => (vault.unfinished_rotation()?.unwrap_or(0), Vec::new()),
    };
    let report =
        Report { data_key: begun.data_key, resumed: begun.resumed, resealed, left, destroyed, damaged: place.damaged };
    if json {
        out.json(&report)?;
    }
    tell(&report, ended.is_none(), json, out)
}

/// Seals everything anew, with pauses in which others have their turn; until the end or until `stop`.
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
        let Some(count) = vault.rotate_some(&mut place, limit).await? else { break };
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

fn tell(report: &Report, paused: bool, json: bool, out: &mut Output) -> Result<(), Failure> {
    for (table, row) in &report.damaged {
        note(format!("damaged: table {table}, row {row}; it could not be sealed anew"));
    }
    if paused {
        return Err(Failure::new(format!("paused: {} records are still under an old data key", report.left))
            .advise("`strongroom vault rotate` goes on from here"));
    }
    if report.left > 0 {
        return Err(Failure::new(format!(
            "{} records are still under an old data key, which therefore stays",
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
        "everything is sealed under data key {} ({} records anew); destroyed: data key {}",
        report.data_key,
        report.resealed,
        destroyed.join(", ")
    ))
}

/// What a person at a terminal sees meanwhile.
struct Progress {
    total: u64,
    told: Instant,
}

impl Progress {
    fn tell(&mut self, done: u64) {
        if io::stderr().is_terminal() && self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            // Nothing depends on it.
            let _ = write!(io::stderr(), "\r{done} of {} records", self.total);
        }
    }

    fn end(&self) {
        if io::stderr().is_terminal() && self.total > 0 {
            let _ = writeln!(io::stderr(), "\r{0} of {0} records", self.total);
        }
    }
}
