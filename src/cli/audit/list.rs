//! `strongroom audit list`: filtered rows, newest last, and new rows as they are written.

use clap::Args;

use crate::broker::{AuditEntry, AuditFilter, VaultAdmin};
use crate::cli::arguments;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::names;
use crate::cli::output::Output;
use crate::clock::UnixTime;
use crate::id::{ApiKeyId, CredentialId, ProviderName, UserId};

/// Filter and output format.
#[derive(Debug, Args)]
pub(in crate::cli) struct AuditListArgs {
    /// Only rows about this user's credentials
    #[arg(long, allow_hyphen_values = true)]
    user: Option<UserId>,
    /// Only rows about this provider
    #[arg(long)]
    provider: Option<ProviderName>,
    /// Only rows about this credential
    #[arg(long, value_name = "ID")]
    credential: Option<CredentialId>,
    /// Only this action; `*` matches any text, as in 'credential.*'
    #[arg(long)]
    action: Option<String>,
    /// Only this actor: key:ID, token:ISSUER, command-line or system
    #[arg(long)]
    actor: Option<String>,
    /// Only what this API key did, and what was done to it
    #[arg(long, value_name = "ID")]
    key: Option<ApiKeyId>,
    /// Only this result
    #[arg(long, value_parser = ["ok", "failed", "denied"])]
    result: Option<String>,
    /// Only rows from this time on (2026-01-31T12:00:00Z), or from this long ago (24h)
    #[arg(long, value_name = "TIME", value_parser = arguments::moment)]
    since: Option<UnixTime>,
    /// Only rows up to this time, or up to this long ago
    #[arg(long, value_name = "TIME", value_parser = arguments::moment)]
    until: Option<UnixTime>,
    /// Maximum number of rows; the newest are shown
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Print JSON, one row a line
    #[arg(long)]
    json: bool,
}

impl AuditListArgs {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let json = self.json;
        let (installation, admin) = context.opened()?;
        let filter = self.filter();
        let entries = admin.audit_rows(&filter)?;
        if entries.is_empty() {
            let known =
                filter.provider.as_ref().map_or(Ok(()), |name| installation.provider(name.as_str()).map(|_| ()));
            names::check_filters(&admin, known, filter.user.as_ref())?;
            filter.action.as_deref().map_or(Ok(()), names::check_action)?;
            filter.actor.as_deref().map_or(Ok(()), names::check_actor)?;
            check_ids(&admin, &filter)?;
        }
        if json {
            entries.iter().try_for_each(|entry| out.json_line(entry))?;
        } else {
            let header = ["ROW", "TIME", "ACTION", "RESULT", "BY", "USER", "PROVIDER", "CREDENTIAL", "MORE", "FROM"];
            out.table(&entries, header, cells)?;
        }
        all_sound(&entries, out)
    }

    fn filter(self) -> AuditFilter {
        AuditFilter {
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

/// Checks the ids of a filter that found nothing: each has a row of its own at least.
fn check_ids(admin: &VaultAdmin, filter: &AuditFilter) -> Result<(), Failure> {
    if let (Some(since), Some(until)) = (filter.since, filter.until)
        && since > until
    {
        return Err(Failure::configuration(format!("--since {since} is later than --until {until}")));
    }
    let is_known = |filter: AuditFilter| admin.audit_rows(&filter).map(|rows| !rows.is_empty());
    let one = AuditFilter { limit: Some(1), ..AuditFilter::default() };
    if let Some(id) = filter.credential
        && !is_known(AuditFilter { credential: Some(id), ..one.clone() })?
    {
        return Err(Failure::new(format!("the audit log has no row about credential {id}"))
            .advise("`strongroom credential list` lists all credentials"));
    }
    if let Some(id) = filter.key
        && !is_known(AuditFilter { key: Some(id), ..one })?
    {
        return Err(Failure::new(format!("the audit log has no row about API key {id}"))
            .advise("`strongroom key list` lists all keys"));
    }
    Ok(())
}

/// The list is not a verification of the whole log, but it must not show a forged row as a valid
/// one.
fn all_sound(entries: &[AuditEntry], out: &mut Output) -> Result<(), Failure> {
    let Some(wrong) = entries.iter().find(|entry| !entry.sound) else { return Ok(()) };
    out.flush()?;
    let message = format!("audit row {} was changed, or the row before it was removed", wrong.row.seq);
    Err(Failure::damaged(message).advise("run `strongroom audit verify` to check the whole log"))
}

fn cells(AuditEntry { row, .. }: &AuditEntry) -> [String; 10] {
    let or_nothing = |text: &Option<String>| text.clone().unwrap_or_default();
    [
        row.seq.to_string(),
        UnixTime(row.at).to_string(),
        row.action.to_string(),
        row.result.to_string(),
        row.actor.clone(),
        or_nothing(&row.user),
        or_nothing(&row.provider),
        or_nothing(&row.credential),
        or_nothing(&row.subject),
        or_nothing(&row.address),
    ]
}
