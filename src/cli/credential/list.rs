//! `strongroom credential list`: shows credentials, oldest first.

use clap::ValueEnum;

use crate::broker::VaultError;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::names::check_filters;
use crate::cli::output::{Output, note};
use crate::clock::UnixTime;
use crate::id::{ProviderName, UserId};

/// A status to filter by.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(in crate::cli) enum Status {
    /// It can be used
    Active,
    /// The user has to connect the account again
    NeedsReauth,
    /// The key has expired
    Expired,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::NeedsReauth => "needs_reauth",
            Self::Expired => "expired",
        }
    }
}

/// Lists credentials, oldest first.
pub(in crate::cli) fn list(
    user: Option<&UserId>,
    provider: Option<&ProviderName>,
    status: Option<Status>,
    json: bool,
    context: &Context,
    out: &mut Output,
) -> Result<(), Failure> {
    let (installation, admin) = context.opened()?;
    let (mut listed, damaged) = admin.credentials(user.cloned(), provider)?;
    if listed.is_empty() && damaged.is_empty() {
        let known = provider.map_or(Ok(()), |name| installation.provider(name.as_str()).map(|_| ()));
        check_filters(&admin, known, user)?;
    }
    listed.retain(|row| status.is_none_or(|status| row.credential.summary.status == status.word()));
    let header = ["ID", "USER", "PROVIDER", "KIND", "STATUS", "EXPIRES", "LAST USED", "TITLE", "ACCOUNT OR HOST"];
    let time = |at: Option<UnixTime>| at.map_or_else(|| "never".to_owned(), |at| at.to_string());
    out.list(json, &listed, header, |row| {
        let (detail, summary) = (&row.credential, &row.credential.summary);
        let stale = if detail.may_be_stale { ", may be stale" } else { "" };
        [
            summary.id.to_string(),
            row.user.to_string(),
            summary.provider.to_string(),
            summary.kind.to_owned(),
            format!("{}{stale}", summary.status),
            time(detail.expires_at),
            time(detail.last_used_at),
            summary.title.clone(),
            summary.username.clone().or_else(|| summary.host.clone()).unwrap_or_default(),
        ]
    })?;
    report_damage(damaged, out)
}

/// Reports rows that cannot be read, after the readable ones were printed. The exit code is that of
/// the first.
pub(in crate::cli) fn report_damage(damaged: Vec<VaultError>, out: &mut Output) -> Result<(), Failure> {
    out.flush()?;
    damaged.iter().skip(1).for_each(|error| note(error.to_string()));
    damaged.into_iter().next().map_or(Ok(()), |error| Err(error.into()))
}
