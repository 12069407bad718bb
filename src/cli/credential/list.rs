//! `strongroom credential list`: shows credentials, oldest first.

use serde::Serialize;

use crate::broker::{CredentialMetadata, VaultError};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, note};
use crate::clock::{Clock, UnixTime};
use crate::id::{CredentialId, ProviderName, UserId};

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
    fn of(summary: CredentialMetadata, may_be_stale: bool, now: UnixTime) -> Self {
        Self {
            may_be_stale,
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
    let (mut listed, mut damaged) = (Vec::new(), Vec::new());
    let now = Clock::system().now();
    context.admin()?.each_credential(user, provider, |row| match row {
        Ok((credential, stale)) => listed.push(CredentialRow::of(credential.clone(), stale, now)),
        Err(error) => damaged.push(error),
    })?;
    out.list(json, &listed, ["ID", "USER", "PROVIDER", "KIND", "STATUS", "TITLE", "ACCOUNT OR HOST"], |row| {
        let stale = if row.may_be_stale { ", may be stale" } else { "" };
        [
            row.id.to_string(),
            row.user.to_string(),
            row.provider.to_string(),
            row.kind.to_owned(),
            format!("{}{stale}", row.status),
            row.title.clone(),
            row.username.clone().or_else(|| row.host.clone()).unwrap_or_default(),
        ]
    })?;
    report_damage(damaged, out)
}

/// Reports rows that cannot be read, after the readable ones were printed. The exit code is that of
/// the first.
pub(super) fn report_damage(damaged: Vec<VaultError>, out: &mut Output) -> Result<(), Failure> {
    out.flush()?;
    damaged.iter().skip(1).for_each(|error| note(error.to_string()));
    damaged.into_iter().next().map_or(Ok(()), |error| Err(error.into()))
}
