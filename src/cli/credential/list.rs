//! `strongroom credential list`: shows credentials, oldest first.

use crate::broker::VaultError;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, note};
use crate::id::{ProviderName, UserId};

/// Lists credentials, oldest first.
pub(in crate::cli) fn list(
    user: Option<UserId>,
    provider: Option<&ProviderName>,
    json: bool,
    context: &Context,
    out: &mut Output,
) -> Result<(), Failure> {
    let (listed, damaged) = context.admin()?.credentials(user, provider)?;
    out.list(json, &listed, ["ID", "USER", "PROVIDER", "KIND", "STATUS", "TITLE", "ACCOUNT OR HOST"], |row| {
        let (detail, summary) = (&row.credential, &row.credential.summary);
        let stale = if detail.may_be_stale { ", may be stale" } else { "" };
        [
            summary.id.to_string(),
            row.user.to_string(),
            summary.provider.to_string(),
            summary.kind.to_owned(),
            format!("{}{stale}", detail.status),
            summary.title.clone(),
            summary.username.clone().or_else(|| summary.host.clone()).unwrap_or_default(),
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
