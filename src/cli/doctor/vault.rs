//! Vault and server checks of `strongroom doctor`.

use std::path::Path;

use super::findings::Findings;
use super::readiness;
use crate::broker::{
    Administrator, CredentialPage, FreeDisk, Installation, OpenMode, VaultAdmin, VaultReport, check_files, is_served,
};
use crate::cli::context::open;
use crate::cli::failure::Failure;
use crate::cli::runtime::block_on;
use crate::clock::Clock;
use crate::config::{Config, Listen, ProxySettings, ServerSettings};
use crate::visible::plain;

/// Minimum free disk space in bytes.
const LITTLE_SPACE: u64 = 64 * 1024 * 1024;

/// Rows of an audit log above which a retention is recommended.
const LARGE_LOG: u64 = 100_000;

/// Failed attempts after which a revocation counts as stuck.
const STUCK: u32 = 3;

pub(super) fn vault(installation: &Installation, findings: &mut Findings) {
    let config = installation.config();
    let path = &config.vault.path;
    for warning in check_files(path) {
        findings.advice(warning, "make the vault and its folder accessible to their owner only");
    }
    for exposure in installation.exposures() {
        if exposure.by_everyone {
            let failure = Failure::new(format!("{}: the server refuses to start", exposure.message()));
            findings.fault(&failure.advise(exposure.fix()));
        } else {
            findings.advice(exposure.message(), exposure.fix());
        }
    }
    match open(installation, OpenMode::Command) {
        Err(failure) => findings.fault(&failure),
        Ok((admin, _)) => {
            opened(installation, &admin, findings);
            if !config.is_dev {
                ballast(&admin, config.vault.ballast, findings);
            }
            epoch_file(config, findings);
        }
    }
    if is_served(path) {
        server(&config.server, findings);
        forward_proxy(&config.proxy, findings);
    } else {
        findings.ok("no server is running on this vault");
    }
    if let Some(disk) = FreeDisk::of(path) {
        let free = format!("{} % of the vault's disk is free ({} MiB)", disk.percent(), disk.free >> 20);
        if disk.is_low() || disk.free < LITTLE_SPACE {
            findings.advice(format!("only {free}"), "free disk space before writes fail");
        } else {
            findings.ok(free);
        }
    }
}

/// Recommends a retention if the audit log is large and grows without end.
fn audit_log(rows: u64, config: &Config, findings: &mut Findings) {
    if rows >= LARGE_LOG && config.audit.retention.is_none() {
        findings.advice(
            format!("the audit log has {rows} rows and keeps all of them"),
            "set audit.retention, for example to \"365d\"; `strongroom audit export` keeps older rows in a file",
        );
    }
}

fn opened(installation: &Installation, admin: &VaultAdmin, findings: &mut Findings) {
    match admin.status(installation) {
        Ok(report) => {
            status(&report, &installation.config().vault.path, findings);
            audit_log(report.vault.audit, admin.config(), findings);
            backups(&report, admin.config(), findings);
        }
        Err(error) => findings.fault(&error.into()),
    }
    revocations(admin, findings);
    match block_on(admin.writable()) {
        Ok(Ok(())) => findings.ok("the vault is writable"),
        Ok(Err(error)) => findings.fault(&error.into()),
        Err(failure) => findings.fault(&failure),
    }
}

fn status(report: &VaultReport, path: &Path, findings: &mut Findings) {
    let (status, now) = (&report.vault, Clock::system().now());
    findings.ok(format!(
        "the vault {} opens; keyring and manifest are intact ({} users, {} credentials, {} API keys)",
        path.display(),
        status.users,
        status.credentials,
        status.api_keys
    ));
    if status.api_keys == 0 {
        findings
            .advice("there is no API key, so no client can send requests", "create one with `strongroom key create`");
    }
    for (provider, count) in &report.needs_reauth {
        findings.advice(
            format!("{provider}: {count} credential(s) need re-authorization"),
            "`strongroom credential list --status needs_reauth` lists them; their users must connect again",
        );
    }
    for (provider, unconfigured) in &report.unconfigured {
        let (count, reason) = (unconfigured.credentials, unconfigured.reason);
        findings.advice(format!("{provider}: {count} credential(s), {reason}"), unconfigured.fix.clone());
    }
    for (provider, count) in &report.refused {
        findings.advice(
            format!("{provider} refuses every refresh of {count} credentials, for a reason that is not understood"),
            "`strongroom credential list --json` has the provider's words (last_error); connect again",
        );
    }
    if status.created_at > now {
        let created_at = status.created_at;
        findings.advice(
            format!("this machine's clock ({now}) is earlier than the vault's creation ({created_at})"),
            "set the clock: logins and keys expire by it",
        );
    }
}

/// Checks the space that is reserved for a full disk.
fn ballast(admin: &VaultAdmin, bytes: u64, findings: &mut Findings) {
    let mib = bytes / 1024 / 1024;
    if bytes == 0 {
        findings.advice(
            "vault.ballast is 0, so on a full disk secrets cannot be read, deleted or revoked",
            "set vault.ballast to a few MiB",
        );
    } else if admin.holds_ballast() {
        findings.ok(format!("{mib} MiB are reserved for a full disk"));
    } else {
        findings.advice(
            format!("the {mib} MiB reserved for a full disk are used up, so writes that can wait fail"),
            "free disk space; the reserve is then restored automatically",
        );
    }
}

/// Checks the place of the epoch file. That the vault is the newest was checked when it was opened.
fn epoch_file(config: &Config, findings: &mut Findings) {
    let Some(file) = &config.vault.epoch_file else { return };
    let folder = |path: &Path| path.parent().and_then(|folder| folder.canonicalize().ok());
    if folder(file) == folder(&config.vault.path) {
        findings.advice(
            format!("the epoch file {} is in the vault's folder, so one restore replaces both", file.display()),
            "move vault.epoch_file to storage that the vault's backups and snapshots do not cover",
        );
    } else {
        findings.ok(format!("the vault is as new as the epoch file {} records", file.display()));
    }
}

/// Checks that revocations succeed.
fn revocations(admin: &VaultAdmin, findings: &mut Findings) {
    let queue = match admin.revocations(&Administrator::command_line(None), CredentialPage::default()) {
        Ok(queue) => queue,
        Err(error) => return findings.fault(&error.into()),
    };
    queue.damaged.into_iter().for_each(|error| findings.fault(&error.into()));
    let waiting = queue.revocations;
    let stuck: Vec<_> = waiting.iter().filter(|one| one.attempts >= STUCK).collect();
    let Some(worst) = stuck.iter().min_by_key(|one| one.give_up_at) else { return };
    let (provider, attempts) = (&worst.provider, worst.attempts);
    let reason = plain(worst.last_error.as_deref().unwrap_or("no recorded error"));
    findings.advice(
        format!(
            "{} of {} queued revocations keep failing; the first to be given up ({}) is at {provider}, after {attempts} attempts: {reason}",
            stuck.len(),
            waiting.len(),
            worst.give_up_at
        ),
        "`strongroom credential revocations` lists them, --retry tries them now; otherwise revoke the tokens at the provider",
    );
}

/// Checks that backups are written, and that a restored vault was promoted.
fn backups(report: &VaultReport, config: &Config, findings: &mut Findings) {
    if let Some(restore) = &report.unpromoted_restore {
        findings.advice(
            format!(
                "the vault was restored at {} from a backup of {} and is not in service: it sends no refreshes or revocations on its own",
                restore.at, restore.backup_at
            ),
            "if it replaces the original vault, run `strongroom vault promote`; for a drill, leave it so",
        );
    }
    if report.may_be_stale > 0 {
        findings.advice(
            format!("{} credentials have refresh tokens that may have been used since the backup", report.may_be_stale),
            "nothing to do: each is tried at its next use; a refused one then needs reauthorization",
        );
    }
    let Some(status) = &report.backups else {
        if config.is_dev {
            return;
        }
        return findings.advice(
            "the server writes no scheduled backups",
            "set backup.directory, or run `strongroom vault backup` from a timer",
        );
    };
    let folder = status.directory.display();
    if let Err(error) = rustix::fs::access(&status.directory, rustix::fs::Access::WRITE_OK) {
        let failure = Failure::new(format!("cannot write backups to {folder}: {error}"));
        return findings.fault(&failure.advise("create the folder with mode 0700, owned by the server's account"));
    }
    let newest = status.newest.map_or_else(|| "there is none yet".to_owned(), |at| format!("the newest is from {at}"));
    let overdue = status.due_at.plus(config.backup.every / 4) <= Clock::system().now();
    let overdue = overdue && report.unpromoted_restore.is_none();
    if overdue {
        findings.advice(
            format!("a backup is due in {folder}, and {newest}"),
            "a running server writes it within a minute; otherwise see its log",
        );
    } else {
        findings.ok(format!("{} backups are in {folder}; {newest}", status.kept));
    }
}

/// Checks that the running server answers. A container's health check uses this.
fn server(settings: &ServerSettings, findings: &mut Findings) {
    let at = &settings.listen;
    if matches!(at, Listen::Tcp { port: 0, .. }) {
        return findings.ok("a server is running on this vault");
    }
    match block_on(readiness::ask(at, settings.tls.as_ref(), readiness::READYZ)) {
        Err(failure) => findings.fault(&failure),
        Ok(Ok(Some(200))) => findings.ok(format!("the server at {at} is ready")),
        Ok(Ok(None)) => findings.ok(format!("the server at {at} accepts connections")),
        Ok(Ok(Some(status))) => findings.fault(
            &Failure::new(format!("the server at {at} answers {status} to GET /readyz")).advise("see the server's log"),
        ),
        Ok(Err(error)) => findings.fault(
            &Failure::new(format!("a server is running on this vault but does not answer at {at}: {error}"))
                .advise("it may use other settings, or hang: see its log, or restart it"),
        ),
    }
}

/// Checks that the forward proxy answers, if it is on.
fn forward_proxy(settings: &ProxySettings, findings: &mut Findings) {
    let Some(at) = settings.listen.as_ref().filter(|at| !matches!(at, Listen::Tcp { port: 0, .. })) else { return };
    match block_on(readiness::ask(at, settings.tls.as_ref(), readiness::CONNECT)) {
        Err(failure) => findings.fault(&failure),
        Ok(Ok(Some(407))) => findings.ok(format!("the forward proxy at {at} asks for an API key")),
        Ok(Ok(None)) => findings.ok(format!("the forward proxy at {at} accepts connections")),
        Ok(Ok(Some(status))) => findings.fault(
            &Failure::new(format!("the forward proxy at {at} answers {status} to a CONNECT without a key"))
                .advise("another program may listen there; set another proxy.listen"),
        ),
        Ok(Err(error)) => findings.fault(
            &Failure::new(format!("the forward proxy does not answer at {at}: {error}"))
                .advise("restart the server, so that it listens where proxy.listen says"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::findings::Level;
    use super::*;
    use crate::config::Environment;

    #[test]
    fn large_audit_log_without_retention_gets_advice() {
        let sources = crate::config::Sources {
            file: Some("/dev/null".into()),
            environment: Environment::given([("HOME", "/nonexistent")]),
            ..crate::config::Sources::default()
        };
        let mut config = Config::load(&sources, crate::config::ClientSecrets::Leave).unwrap();
        let advice = |rows, config: &Config| {
            let mut findings = Findings::default();
            audit_log(rows, config, &mut findings);
            findings.0.iter().any(|finding| finding.level == Level::Advice)
        };
        assert!(!advice(LARGE_LOG - 1, &config) && advice(LARGE_LOG, &config));
        config.audit.retention = Some(std::time::Duration::from_secs(86_400));
        assert!(!advice(LARGE_LOG, &config));
    }
}
