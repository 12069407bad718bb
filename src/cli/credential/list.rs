//! `strongroom credential list`: shows credentials, oldest first.

use crate::broker::Broker;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::output::note;
use crate::clock::Clock;
use crate::clock::UnixTime;
use crate::id::CredentialId;
use crate::id::ProviderName;
use crate::id::UserId;
use crate::vault::CredentialMetadata;
use serde::Serialize;

#[derive(Serialize)]
struct CredentialRow {
    id: CredentialId,
    user: UserId,
    provider: ProviderName,
    #[serde(rename = "type")]
    kind: &'static str,
    title: String,
    scopes: Option<Vec<String>>,
    username: Option<String>,
    host: Option<String>,
    status: &'static str,
    created_at: UnixTime,
    updated_at: UnixTime,
    expires_at: Option<UnixTime>,
    last_used_at: Option<UnixTime>,
    /// Error of the last refresh; `None` after a successful one.
    last_error: Option<String>,
    reauth_before: Option<UnixTime>,
    /// True if the vault was restored from a backup after these tokens were stored.
    may_be_stale: bool,
}

impl CredentialRow {
    fn of(summary: CredentialMetadata, now: UnixTime, broker: &Broker) -> Self {
        Self {
            may_be_stale: broker.may_be_stale(&summary),
            status: summary.status_at(now).name(),
            id: summary.id,
            user: summary.user,
            provider: summary.provider,
            kind: summary.kind.name(),
            title: summary.title,
            scopes: summary.scopes,
            username: summary.username,
            host: summary.host.map(|host| host.to_string()),
            created_at: summary.created_at,
            updated_at: summary.updated_at,
            expires_at: summary.expires_at,
            last_used_at: summary.last_used_at,
            last_error: summary.refreshing.last_error.map(|error| error.what),
            reauth_before: summary.refreshing.lapses_at,
        }
    }
}

/// Lists credentials, oldest first.
pub(in crate::cli) fn list(
    user: Option<UserId>,
    provider: Option<&ProviderName>,
    json: bool,
    context: &Context,
    out: &mut Output,
) -> Result<(), Failure> {
    let broker = context.local_broker()?;
    let (mut listed, mut damaged) = (Vec::new(), Vec::new());
    let now = Clock::system().now();
    broker.each_credential(user, provider, |row| match row {
        Ok(credential) => listed.push(CredentialRow::of(credential.clone(), now, &broker)),
        Err(error) => damaged.push(error),
    })?;
    show(listed, json, out)?;
    out.flush()?;
    // The readable credentials are shown first; the exit code reports the damaged ones.
    damaged.iter().skip(1).for_each(|error| note(error.to_string()));
    damaged.into_iter().next().map_or(Ok(()), |error| Err(error.into()))
}

fn show(listed: Vec<CredentialRow>, json: bool, out: &mut Output) -> Result<(), Failure> {
    if json {
        return out.json(&listed);
    }
    let rows: Vec<_> = listed
        .into_iter()
        .map(|one| {
            let whose = one.username.or(one.host).unwrap_or_default();
            [
                one.id.to_string(),
                one.user.to_string(),
                one.provider.to_string(),
                one.kind.to_owned(),
                if one.may_be_stale { format!("{}, may be stale", one.status) } else { one.status.to_owned() },
                one.title,
                whose,
            ]
        })
        .collect();
    out.columns(["ID", "USER", "PROVIDER", "KIND", "STATUS", "TITLE", "ACCOUNT OR HOST"], &rows)
}
