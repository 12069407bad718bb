//! `strongroom audit verify`: checks the log, and that it still contains an exported head.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::broker::{HeadFit, VaultAdmin};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::Output;

/// Faults printed one by one, so that an attacker cannot fill the screen.
const TOLD: u64 = 20;

/// Checks beyond the log itself.
#[derive(Debug, Args)]
pub(in crate::cli) struct AuditVerifyArgs {
    /// Also check that the log contains what `audit export` or `audit head` wrote to this file
    #[arg(long, value_name = "FILE")]
    head: Option<PathBuf>,
}

impl AuditVerifyArgs {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let admin = context.admin()?;
        whole(&admin, out)?;
        self.head.map_or(Ok(()), |file| contained(&admin, &file, out))
    }
}

fn whole(admin: &VaultAdmin, out: &mut Output) -> Result<(), Failure> {
    let (mut told, mut first) = (0, None);
    let verdict = admin.verify_audit(&mut |fault| {
        told += 1;
        first.get_or_insert(fault);
        if told <= TOLD {
            // If the output is closed, the exit code still reports the fault.
            let _ = out.line(fault.to_string());
        }
    })?;
    let Some(first) = first else {
        return out.line(match verdict.first {
            1 => format!("the audit log is intact: {} rows", verdict.sound),
            first => format!("the audit log is intact since row {first}: {} rows", verdict.sound),
        });
    };
    out.flush()?;
    let more = if told > TOLD { format!(" ({} more faults)", told - TOLD) } else { String::new() };
    Err(Failure::damaged(format!("the audit log was tampered with: {first}{more}")).advise(
        "keep the file unchanged, and compare it with a backup or an exported head (`strongroom audit verify --head FILE`)",
    ))
}

fn contained(admin: &VaultAdmin, path: &Path, out: &mut Output) -> Result<(), Failure> {
    let shown = path.display();
    let (count, sha256, head) = read(path)?;
    let (fit, rows) = admin
        .check_audit_head(&head)?
        .map_err(|fault| Failure::new(format!("the head in {shown} is not valid: {fault}")))?;
    if count > 0 && rows.is_none_or(|rows| (rows.count, rows.sha256) != (count, sha256)) {
        return Err(Failure::new(format!("the rows in {shown} do not match its signed head"))
            .advise("the file was changed after the export; use another copy"));
    }
    match fit {
        HeadFit::Contained => out.line(format!("the audit log contains everything in {shown}")),
        HeadFit::Removed => {
            Err(Failure::new(format!("pruning has removed the last row of {shown} from the audit log"))
                .advise("compare the log with a newer head"))
        }
        HeadFit::Rewritten => Err(Failure::damaged(format!(
            "the audit log does not match {shown}: it was rewritten, or it belongs to another vault"
        ))),
        HeadFit::Shorter => Err(Failure::damaged(format!(
            "the audit log ends before the last row of {shown}: it was truncated, or an older vault was restored"
        ))),
    }
}

/// Returns the number of rows of an export, their digest, and the head in its last line.
fn read(path: &Path) -> Result<(u64, String, String), Failure> {
    let refused = |error: std::io::Error| Failure::new(format!("cannot read {}: {error}", path.display()));
    let mut file = BufReader::new(File::open(path).map_err(refused)?);
    let (mut digest, mut count, mut last) = (Sha256::new(), 0, Vec::new());
    loop {
        let mut line = Vec::new();
        if file.read_until(b'\n', &mut line).map_err(refused)? == 0 {
            break;
        }
        if !last.is_empty() {
            digest.update(&last);
            count += 1;
        }
        last = line;
    }
    let head =
        serde_json::from_slice::<Value>(&last).ok().and_then(|line| Some(line.get("head")?.as_str()?.to_owned()));
    let head = head.ok_or_else(|| {
        Failure::new(format!("the last line of {} is not a signed head", path.display()))
            .advise("use an unchanged file of `strongroom audit export` or `strongroom audit head`")
    })?;
    let sha256 = digest.finalize().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    Ok((count, sha256, head))
}
