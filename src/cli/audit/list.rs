//! `strongroom audit list`: the rows that are wanted, the newest last, and what comes after them while one waits.

use crate::cli::arguments;
use std::time::Duration;

use clap::Args;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, plain};
use crate::clock::UnixTime;
use crate::id::{ApiKeyId, CredentialId, ProviderName, UserId};
use crate::vault::{AuditEntry, AuditFilter, Vault};

/// How often a command that follows the log looks for new rows.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Which rows are listed, and how.
#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// Of this user's credentials
    #[arg(long)]
    user: Option<UserId>,
    /// Of this provider
    #[arg(long)]
    provider: Option<ProviderName>,
    /// Of this credential
    #[arg(long, value_name = "ID")]
    credential: Option<CredentialId>,
    /// This action; `*` stands for any text, as in 'credential.*'
    #[arg(long)]
    action: Option<String>,
    /// By whom: key:ID, token:ISSUER, command-line or system
    #[arg(long)]
    actor: Option<String>,
    /// What this API key did, and what was done to it
    #[arg(long, value_name = "ID")]
    key: Option<ApiKeyId>,
    /// How it ended
    #[arg(long, value_parser = ["ok", "failed", "denied"])]
    result: Option<String>,
    /// Not before this time (2026-01-31T12:00:00Z), or this long ago (24h)
    #[arg(long, value_name = "TIME", value_parser = arguments::moment)]
    since: Option<UnixTime>,
    /// Not after this time, or this long ago
    #[arg(long, value_name = "TIME", value_parser = arguments::moment)]
    until: Option<UnixTime>,
    /// The newest so many
    #[arg(long, default_value_t = 100)]
    limit: u32,
    /// Go on with new rows as they are written, until it is interrupted
    #[arg(long, conflicts_with = "until")]
    follow: bool,
    /// As JSON, a row on each line
    #[arg(long)]
    json: bool,
}

impl List {
    /// Runs the command.
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let vault = context.vault()?;
        let (json, follow) = (self.json, self.follow);
        let mut filter = self.filter();
        let (entries, last) = vault.audit(&filter)?;
        print(&entries, json, out)?;
        if follow {
            filter = AuditFilter { after: last, limit: None, ..filter };
            go_on(&vault, filter, json, out)?;
        }
        Ok(())
    }

    fn filter(self) -> AuditFilter {
        AuditFilter {
            after: 0,
            since: self.since,
            until: self.until,
            action: self.action,
            result: self.result,
            actor: self.actor,
            user: self.user,
            provider: self.provider,
            credential: self.credential,
            key: self.key,
            limit: Some(self.limit),
        }
    }
}

fn print(entries: &[AuditEntry], json: bool, out: &mut Output) -> Result<(), Failure> {
    if json {
        entries.iter().try_for_each(|entry| out.json_line(entry))?;
    } else {
        let rows: Vec<_> = entries.iter().map(cells).collect();
        out.columns(
            ["ROW", "TIME", "ACTION", "RESULT", "BY", "USER", "PROVIDER", "CREDENTIAL", "MORE", "FROM"],
            &rows,
        )?;
    }
    all_sound(entries, out)
}

fn go_on(vault: &Vault, mut filter: AuditFilter, json: bool, out: &mut Output) -> Result<(), Failure> {
    loop {
        out.flush()?;
        std::thread::sleep(LOOK_AGAIN);
        let (entries, last) = vault.audit(&filter)?;
        for entry in &entries {
            if json {
                out.json_line(entry)?;
            } else {
                out.line(plain(&cells(entry).join("  ")))?;
            }
        }
        all_sound(&entries, out)?;
        filter.after = last;
    }
}

/// What is shown was not looked at as a whole, but nobody is to take a forged row for a true one.
fn all_sound(entries: &[AuditEntry], out: &mut Output) -> Result<(), Failure> {
    let Some(wrong) = entries.iter().find(|entry| !entry.sound) else { return Ok(()) };
    out.flush()?;
    let message = format!("audit row {} is not as it was written, or the row before it is gone", wrong.row);
    Err(Failure::damaged(message).advise("`strongroom audit verify` looks at the whole log"))
}

fn cells(entry: &AuditEntry) -> [String; 10] {
    let or_nothing = |text: &Option<String>| text.clone().unwrap_or_default();
    [
        entry.row.to_string(),
        entry.at.to_string(),
        entry.action.clone(),
        entry.result.clone(),
        entry.actor.clone(),
        or_nothing(&entry.user),
        or_nothing(&entry.provider),
        or_nothing(&entry.credential),
        or_nothing(&entry.subject),
        or_nothing(&entry.address),
    ]
}
