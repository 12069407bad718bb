//! `strongroom key update`: changes an API key; the next request with it is checked against the new
//! properties.

use clap::Args;

use super::check::{check_limits, no_key};
use super::shown::{expiry_text, holder_text, listed, rights_text};
use crate::broker::{ApiKeyUpdate, Unmatched, UpdateRefused, UserPattern};
use crate::cli::arguments::{self, NewEnd};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::runtime::block_on;
use crate::clock::Clock;
use crate::id::{ApiKeyId, CredentialId, ProviderName};
use crate::permission::{Permission, Permissions};

/// Key and new properties; what is not named stays.
#[derive(Debug, Args)]
#[command(override_usage = "strongroom key update [OPTIONS] <ID>")]
pub(in crate::cli) struct Update {
    /// Key id, as `key list` shows it
    id: ApiKeyId,
    /// New name; an empty one removes it
    #[arg(long, value_parser = arguments::key_name)]
    name: Option<String>,
    /// Permission of the key, in the place of all that it has; may be repeated, or several with
    /// commas
    #[arg(long = "permission", value_name = "PERMISSION", value_delimiter = ',')]
    permissions: Vec<Permission>,
    /// Users that a service key may act for, in the place of the former ones; `*` matches any text
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    users: Vec<UserPattern>,
    /// Provider that the key is limited to, in the place of the former ones; may be repeated
    #[arg(long = "provider", value_name = "PROVIDER", value_delimiter = ',')]
    providers: Vec<ProviderName>,
    /// Remove the limit to providers
    #[arg(long, conflicts_with = "providers")]
    all_providers: bool,
    /// Credential that the key is limited to, in the place of the former ones; may be repeated
    #[arg(long = "credential", value_name = "ID", value_delimiter = ',')]
    credentials: Vec<CredentialId>,
    /// Remove the limit to credentials
    #[arg(long, conflicts_with = "credentials")]
    all_credentials: bool,
    /// Limit the key to what its grants allow, or with `=false` remove this limit
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    grants_only: Option<bool>,
    /// Hosts to which none of the key's credentials is bound: `tunnel` lets the forward proxy pass
    /// requests to them on, without a credential. Needs PROXY_INTEGRATIONS
    #[arg(long)]
    unmatched: Option<Unmatched>,
    /// Lifetime from now on, for example 90d; or `never`
    #[arg(long, value_name = "DURATION", value_parser = arguments::new_end)]
    expires: Option<NewEnd>,
    /// Print JSON: the key as `key list --json` shows it
    #[arg(long)]
    json: bool,
}

impl Update {
    pub(super) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let (id, json) = (self.id, self.json);
        let update = self.update().ok_or_else(|| {
            let changes =
                "--name, --permission, --users, --provider, --credential, --grants-only, --unmatched, --expires or another option";
            Failure::configuration("nothing to change").advise(format!("give {changes} of `key update --help`"))
        })?;
        let (installation, admin) = context.opened()?;
        if let Some(key) = admin.api_keys()?.iter().find(|key| key.id == id) {
            let changed = update.apply(key).map_err(refused)?;
            // Only new limits are checked: a credential of the former ones may be deleted.
            let former = if update.credentials.is_none() { Some(Vec::new()) } else { None };
            let new = changed.limits.with(update.providers.clone().or(Some(Vec::new())), former);
            check_limits(&installation, &admin, &changed.holder, &new.map_err(|error| refused(error.into()))?)?;
        }
        let key = block_on(admin.update_api_key(id, update))??.map_err(refused)?;
        if json {
            return out.json(&listed(&key, Clock::system().now()));
        }
        out.line(format!(
            "changed API key {id}: for {} with {}; expires: {}",
            holder_text(&key.holder),
            rights_text(&key),
            expiry_text(key.expires_at)
        ))
    }

    /// Returns the changes; `None` without an option that changes something.
    fn update(self) -> Option<ApiKeyUpdate> {
        let update = ApiKeyUpdate {
            name: self.name,
            users: Some(self.users).filter(|users| !users.is_empty()),
            permissions: Some(self.permissions.into_iter().collect()).filter(|some: &Permissions| !some.is_empty()),
            providers: Some(self.providers).filter(|some| self.all_providers || !some.is_empty()),
            credentials: Some(self.credentials).filter(|some| self.all_credentials || !some.is_empty()),
            grants_only: self.grants_only,
            unmatched: self.unmatched,
            expires_at: self.expires.map(|NewEnd(end)| end),
        };
        (update != ApiKeyUpdate::default()).then_some(update)
    }
}

fn refused(error: UpdateRefused) -> Failure {
    match error {
        UpdateRefused::Absent(_) => no_key(error.to_string()),
        UpdateRefused::Revoked(_) => {
            Failure::new(error.to_string()).advise("create another key with `strongroom key create`")
        }
        _ => Failure::new(error.to_string()),
    }
}
