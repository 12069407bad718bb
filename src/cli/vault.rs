//! `strongroom vault`: the file that everything is in, and the keys that open it.

use clap::Subcommand;
use serde::Serialize;

use super::output::Output;
use super::{Context, Failure};
use crate::clock::UnixTime;

/// The vault's file, and the keys that open it
#[derive(Debug, Subcommand)]
pub(super) enum Vault {
    /// Say what is in the vault, what opens it, and what is due
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

impl Vault {
    /// Runs the command.
    pub(super) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        match self {
            Self::Status { json } => status(json, context, out),
        }
    }
}

#[derive(Serialize)]
struct Status {
    vault_id: String,
    created_at: UnixTime,
    schema_version: u32,
    slots: Vec<String>,
    data_key_version: u32,
    users: u64,
    credentials: u64,
    api_keys: u64,
    pending_logins: u64,
    waiting_revocations: u64,
    audit_rows: u64,
    warnings: Vec<String>,
}

fn status(json: bool, context: &Context, out: &mut Output) -> Result<(), Failure> {
    let status = context.vault()?.status()?;
    let status = Status {
        vault_id: status.vault_id,
        created_at: status.created_at,
        schema_version: status.schema_version,
        slots: status.slots,
        data_key_version: status.data_key_version,
        users: status.users,
        credentials: status.credentials,
        api_keys: status.api_keys,
        pending_logins: status.pending,
        waiting_revocations: status.revocations,
        audit_rows: status.audit,
        warnings: status.warnings.iter().map(ToString::to_string).collect(),
    };
    if json {
        return out.json(&status);
    }
    out.line(format!("vault {} of {}, schema {}", status.vault_id, status.created_at, status.schema_version))?;
    status.slots.iter().try_for_each(|slot| out.line(format!("opened by {slot}")))?;
    out.line(format!("data key {}", status.data_key_version))?;
    out.line(format!(
        "{} users, {} credentials, {} API keys, {} begun logins, {} waiting revocations, {} audit rows",
        status.users,
        status.credentials,
        status.api_keys,
        status.pending_logins,
        status.waiting_revocations,
        status.audit_rows
    ))?;
    status.warnings.iter().try_for_each(|warning| out.line(format!("warning: {warning}")))
}
