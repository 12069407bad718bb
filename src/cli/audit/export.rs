//! `strongroom audit export`, `head` and `key`: the signed log, its head alone, and the key that
//! verifies it.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::broker::VaultAdmin;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, note};
use crate::jose::SigningKey;

/// Target of the export.
#[derive(Debug, Args)]
pub(in crate::cli) struct AuditExportArgs {
    /// New file, created with mode 0600 [default: standard output]
    file: Option<PathBuf>,
}

impl AuditExportArgs {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let admin = context.admin()?;
        let Some(path) = self.file else {
            let head = admin.export_audit(|line| out.raw(line))?;
            return out.json_line(&json!({ "head": head }));
        };
        let refused = |error: std::io::Error| {
            Failure::new(format!("cannot write {}: {error}", path.display()))
                .advise("name a file that does not exist yet")
        };
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(refused)?;
        let written = write(&admin, &file, &path);
        if written.is_err() {
            // An incomplete export proves nothing. The first error is the one to report.
            let _ = fs::remove_file(&path);
        }
        written?;
        note(format!("exported the audit log to {}; the last line is the signed head", path.display()));
        Ok(())
    }
}

fn write(admin: &VaultAdmin, file: &File, path: &Path) -> Result<(), Failure> {
    let refused = |error: std::io::Error| Failure::new(format!("cannot write {}: {error}", path.display()));
    let mut buffer = BufWriter::new(file);
    let head = admin.export_audit(|line| buffer.write_all(line.as_bytes()).map_err(refused))?;
    writeln!(buffer, "{}", json!({ "head": head })).map_err(refused)?;
    buffer.flush().and_then(|()| file.sync_all()).map_err(refused)
}

/// Prints the signed head of the log.
pub(in crate::cli) fn head(context: &Context, out: &mut Output) -> Result<(), Failure> {
    let head = context.admin()?.audit_head()?;
    out.json_line(&json!({ "head": head }))
}

/// Prints the public keys that verify signed heads, newest first.
pub(in crate::cli) fn key(pem: bool, context: &Context, out: &mut Output) -> Result<(), Failure> {
    let keys = context.admin()?.audit_keys();
    if pem {
        return keys.iter().filter_map(SigningKey::public_pem).try_for_each(|pem| out.raw(pem));
    }
    out.json(&json!({ "keys": keys.iter().map(SigningKey::public_jwk).collect::<Vec<_>>() }))
}
