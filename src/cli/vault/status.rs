//! `strongroom vault status`: shows the state of the vault.

use crate::broker::VaultReport;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::Output;

pub(in crate::cli) fn status(json: bool, context: &Context, out: &mut Output) -> Result<(), Failure> {
    let (installation, admin) = context.opened()?;
    let status = admin.status(&installation)?;
    if json { out.json(&status) } else { tell(&status, out) }
}

fn tell(report: &VaultReport, out: &mut Output) -> Result<(), Failure> {
    let vault = &report.vault;
    out.line(format!("vault {}, created {}, schema {}", vault.vault_id, vault.created_at, vault.schema_version))?;
    for slot in &vault.slots {
        let (id, kind, since) = (slot.id, slot.kind.name(), slot.created_at);
        out.line(format!("opened by slot {id}: {kind} {}, since {since}", slot.fingerprint))?;
    }
    for key in &vault.keys {
        out.line(format!("{} key {}: {}, since {}", key.purpose, key.version, key.state, key.created_at))?;
    }
    out.line(format!(
        "{} users, {} credentials, {} API keys, {} pending logins, {} queued revocations, {} audit rows",
        vault.users, vault.credentials, vault.api_keys, vault.pending, vault.revocations, vault.audit
    ))?;
    if let Some(backups) = &report.backups {
        let newest = backups.newest.map_or_else(|| "none yet".to_owned(), |at| format!("the newest from {at}"));
        let due = if backups.due { "one is due".to_owned() } else { format!("the next is due at {}", backups.due_at) };
        out.line(format!("{} backups in {}, {newest}; {due}", backups.kept, backups.directory.display()))?;
    }
    if let Some(restore) = &report.unpromoted_restore {
        out.line(format!(
            "restored at {} from a backup of {}; not in service until `strongroom vault promote`",
            restore.at, restore.backup_at
        ))?;
    }
    if report.may_be_stale > 0 {
        let count = report.may_be_stale;
        out.line(format!("{count} credentials have refresh tokens that may have been used since the backup"))?;
    }
    for (provider, count) in &report.needs_reauth {
        out.line(format!("{provider}: {count} credential(s) need re-authorization"))?;
    }
    for (provider, unconfigured) in &report.unconfigured {
        let (count, reason) = (unconfigured.credentials, unconfigured.reason);
        out.line(format!("{provider}: {count} credential(s), {reason}; {}", unconfigured.fix))?;
    }
    report.due.iter().try_for_each(|due| out.line(format!("due: {due}")))?;
    vault.warnings.iter().try_for_each(|warning| out.line(format!("warning: {warning}")))
}
