//! What `strongroom doctor` checks of the vault and of the server that has it open.

use super::findings::Findings;
use crate::cli::output::plain;
use std::fs::File;
use std::path::Path;

use super::readiness;
use super::readiness::Answer;
use crate::broker::backup_status;
use crate::cli::context::open_vault;
use crate::cli::failure::Failure;
use crate::cli::runtime::block_on;
use crate::clock::Clock;
use crate::config::{BackupSettings, Config, ServerSettings};
use crate::vault::{CredentialPage, Vault, check_files};

/// Less free space than this, in bytes, and the vault will soon take no more writes.
const LITTLE_SPACE: u64 = 64 * 1024 * 1024;

/// A revocation that failed so often is stuck.
const STUCK: u32 = 3;

pub(super) fn vault(config: &Config, findings: &mut Findings) {
    let path = &config.vault.path;
    for warning in check_files(path) {
        findings.advice(warning.to_string(), "the vault and its folder are for their owner alone");
    }
    match open_vault(config) {
        Err(failure) => findings.fault(&failure),
        Ok(vault) => {
            open(&vault, path, findings);
            ballast(&vault, config.vault.ballast, findings);
            backups(&config.backup, &vault, findings);
            epoch_file(config, findings);
        }
    }
    if is_served(path) {
        server(&config.server, findings);
    } else {
        findings.ok("no server has the vault open");
    }
    let free = path.parent().and_then(|folder| rustix::fs::statvfs(folder).ok());
    if let Some(free) = free.map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize)).filter(|free| *free < LITTLE_SPACE)
    {
        let mib = free / 1024 / 1024;
        findings.advice(format!("the disk of the vault has {mib} MiB left"), "make room before writes are refused");
    }
}

fn open(vault: &Vault, path: &Path, findings: &mut Findings) {
    let now = Clock::system().now();
    match vault.status() {
        Ok(status) => {
            findings.ok(format!(
                "the vault {} opens, and its keyring and manifest hold ({} users, {} credentials, {} API keys)",
                path.display(),
                status.users,
                status.credentials,
                status.api_keys
            ));
            if status.api_keys == 0 {
                findings
                    .advice("there is no API key, so nobody can ask anything", "make one with `strongroom key create`");
            }
            if status.created_at > now {
                findings.advice(
                    format!("this machine's clock ({now}) is before the vault was made ({})", status.created_at),
                    "set the clock: expiry of logins and keys depends on it",
                );
            }
        }
        Err(error) => findings.fault(&error.into()),
    }
    revocations(vault, findings);
    match block_on(vault.writable()) {
        Ok(Ok(())) => findings.ok("the vault can be written"),
        Ok(Err(error)) => findings.fault(&error.into()),
        Err(failure) => findings.fault(&failure),
    }
}

/// Whether there is something to give up on a full disk.
fn ballast(vault: &Vault, bytes: u64, findings: &mut Findings) {
    let mib = bytes / 1024 / 1024;
    if bytes == 0 {
        findings.advice(
            "vault.ballast is 0, so a full disk keeps secrets from being handed out, deleted and revoked",
            "set vault.ballast to a few MiB",
        );
    } else if vault.holds_ballast() {
        findings.ok(format!("{mib} MiB are held back for a full disk"));
    } else {
        findings.advice(
            format!(
                "the {mib} MiB that are held back for a full disk are given up, and writes that can wait are refused"
            ),
            "make room on the vault's disk; the rest happens by itself",
        );
    }
}

/// Whether an older copy of the vault would be found out. That this one is none was seen when it was opened.
fn epoch_file(config: &Config, findings: &mut Findings) {
    let Some(file) = &config.vault.epoch_file else { return };
    let folder = |path: &Path| path.parent().and_then(|folder| folder.canonicalize().ok());
    if folder(file) == folder(&config.vault.path) {
        findings.advice(
            format!(
                "the epoch file {} lies beside the vault, and whoever puts an older vault there puts it back too",
                file.display()
            ),
            "set vault.epoch_file to a place that the vault's backups and snapshots do not cover",
        );
    } else {
        findings.ok(format!("the vault is as new as the epoch file {} says", file.display()));
    }
}

/// Whether the queue of revocations moves.
fn revocations(vault: &Vault, findings: &mut Findings) {
    let waiting = match vault.revocations(|_| true, CredentialPage::default()) {
        Ok(queue) => {
            queue.damaged.into_iter().for_each(|error| findings.fault(&error.into()));
            queue.waiting
        }
        Err(error) => return findings.fault(&error.into()),
    };
    let stuck: Vec<_> = waiting.iter().filter(|one| one.attempts >= STUCK).collect();
    let Some(worst) = stuck.iter().min_by_key(|one| one.give_up_at) else { return };
    let (provider, attempts) = (&worst.provider, worst.attempts);
    let reason = plain(worst.last_error.as_deref().unwrap_or("no error is recorded"));
    findings.advice(
        format!(
            "{} of {} waiting revocations fail again and again; the first to be given up ({}) is one at {provider}, tried \
             {attempts} times: {reason}",
            stuck.len(),
            waiting.len(),
            worst.give_up_at
        ),
        "`strongroom credential revocations` shows them, with --retry it tries them now; else revoke them at the provider",
    );
}

/// Whether backups are written, and whether the vault waits for somebody to say that it lives.
fn backups(settings: &BackupSettings, vault: &Vault, findings: &mut Findings) {
    let now = Clock::system().now();
    let restored = vault.restored();
    match &restored {
        Ok(None) => {}
        Ok(Some(restored)) => findings.advice(
            format!(
                "the vault was restored at {} from a backup of {}: it refreshes ahead, revokes and backs up nothing",
                restored.at, restored.backup_at
            ),
            "if it takes the place of the one that was backed up: `strongroom vault live`; for a drill that is right",
        ),
        Err(_) => return,
    }
    match vault.count_stale() {
        Ok(0) => {}
        Ok(stale) => findings.advice(
            format!("{stale} credentials have refresh tokens that may be used up since the backup"),
            "nothing to do: each is tried when it is asked for, and one that is refused says that it needs its user",
        ),
        Err(error) => findings.fault(&error.into()),
    }
    let Some(status) = backup_status(settings, vault, now) else {
        return findings.advice(
            "the server writes no backups by itself",
            "set backup.directory, or call `strongroom vault backup` by a timer of your own",
        );
    };
    let folder = status.directory.display();
    if let Err(error) = rustix::fs::access(&status.directory, rustix::fs::Access::WRITE_OK) {
        let failure = Failure::new(format!("no backup can be written to {folder}: {error}"));
        return findings.fault(&failure.advise("make the folder, for the account that the server runs as, mode 0700"));
    }
    let newest = status.newest.map_or_else(|| "there is none yet".to_owned(), |at| format!("the newest is of {at}"));
    let overdue = status.due_at.plus(settings.every / 4) <= now && matches!(restored, Ok(None));
    if overdue {
        findings.advice(
            format!("a backup is due in {folder}, and {newest}"),
            "a running server writes it within a minute, or its log says why not",
        );
    } else {
        findings.ok(format!("{} backups are in {folder}; {newest}", status.kept));
    }
}

/// A server runs: does it do its work? A container's health check is this question.
fn server(settings: &ServerSettings, findings: &mut Findings) {
    let at = &settings.listen;
    match readiness::ask(settings) {
        None => findings.ok("a server has the vault open"),
        Some(Ok(Answer::Ready)) => findings.ok(format!("the server at {at} is ready")),
        Some(Ok(Answer::TakesConnections)) => findings.ok(format!("the server at {at} takes connections")),
        Some(Ok(Answer::NotReady(status))) => findings.fault(
            &Failure::new(format!("the server at {at} answers {status} to GET /readyz"))
                .advise("its log has the cause"),
        ),
        Some(Err(error)) => findings.fault(
            &Failure::new(format!("a server has the vault open and does not answer at {at}: {error}"))
                .advise("it may have been started with other settings, or hang: look at its log, or start it again"),
        ),
    }
}

/// Whether a server holds the lock of the vault.
fn is_served(path: &Path) -> bool {
    use rustix::fs::{FlockOperation, flock};

    let mut lock = path.as_os_str().to_owned();
    lock.push(".lock");
    let Ok(file) = File::open(lock) else { return false };
    flock(&file, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
}
