//! `strongroom key create`: a new API key, shown once.

use clap::Args;
use serde_json::json;

use super::check::check_limits;
use super::shown::{holder_text, rights_text};
use crate::broker::{KeyHolder, KeyLimits, NewApiKey, Unmatched, UserPattern};
use crate::cli::arguments;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::names::hint_new_user;
use crate::cli::output::{Output, note};
use crate::cli::runtime::block_on;
use crate::clock::UnixTime;
use crate::id::{CredentialId, ProviderName, UserId};
use crate::permission::{Permission, Permissions};

/// Properties of the new key.
#[derive(Debug, Args)]
pub(in crate::cli) struct Create {
    /// User that the key acts for
    #[arg(
        long,
        value_name = "USER",
        allow_hyphen_values = true,
        required_unless_present = "service",
        conflicts_with = "service"
    )]
    user: Option<UserId>,
    /// Create a service key: each request names its user in the header Strongroom-User
    #[arg(long)]
    service: bool,
    /// Users that a service key may act for; `*` matches any text [default: all]
    #[arg(long, value_name = "PATTERN", requires = "service", conflicts_with = "user", num_args = 1..)]
    users: Vec<UserPattern>,
    /// Permission of the key; may be repeated. No permission implies another
    #[arg(long = "permission", value_name = "PERMISSION", required = true, num_args = 1.., value_delimiter = ',')]
    permissions: Vec<Permission>,
    /// Provider that the key is limited to; may be repeated [default: all]
    #[arg(long = "provider", value_name = "PROVIDER", num_args = 1.., value_delimiter = ',')]
    providers: Vec<ProviderName>,
    /// Credential that the key is limited to; may be repeated. Such a key creates no credentials
    /// [default: all]
    #[arg(long = "credential", value_name = "ID", num_args = 1.., value_delimiter = ',')]
    credentials: Vec<CredentialId>,
    /// Hosts to which none of the key's credentials is bound: `tunnel` lets the forward proxy pass
    /// requests to them on, without a credential. Needs PROXY_INTEGRATIONS
    #[arg(long, default_value = "refuse")]
    unmatched: Unmatched,
    /// Lifetime of the key, for example 90d [default: unlimited]
    #[arg(long, value_name = "DURATION", value_parser = arguments::lifetime)]
    expires: Option<UnixTime>,
    /// Name of the key
    #[arg(long, value_parser = arguments::key_name)]
    name: Option<String>,
    /// Print JSON: {id, api_key, user, permissions, expires_at}; and providers, credentials if the
    /// key is limited, unmatched if it is not `refuse`
    #[arg(long)]
    json: bool,
}

impl Create {
    pub(super) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let holder = match self.user {
            Some(user) => KeyHolder::User(user),
            None => KeyHolder::Service { users: self.users },
        };
        let limits =
            KeyLimits::new(self.providers, self.credentials).map_err(|error| Failure::new(error.to_string()))?;
        let permissions = Permissions::from_iter(self.permissions);
        self.unmatched.check(permissions).map_err(|error| Failure::configuration(error.to_string()))?;
        let (installation, admin) = context.opened()?;
        check_limits(&installation, &admin, &holder, &limits)?;
        holder.user().map_or(Ok(()), |user| hint_new_user(&admin, user))?;
        let new = NewApiKey {
            name: self.name,
            holder,
            permissions,
            limits,
            unmatched: self.unmatched,
            expires_at: self.expires,
        };
        let (key, text) = block_on(admin.create_api_key(new))??;
        if self.json {
            let user = key.holder.user();
            let permissions: Vec<Permission> = key.permissions.iter().collect();
            let mut made = json!({
                "id": key.id, "api_key": text.expose(), "user": user, "permissions": permissions,
                "expires_at": key.expires_at,
            });
            if !key.limits.are_none() {
                made["providers"] = json!(key.limits.providers());
                made["credentials"] = json!(key.limits.credentials());
            }
            if key.unmatched != Unmatched::default() {
                made["unmatched"] = json!(key.unmatched.name());
            }
            return out.json(&made);
        }
        note(format!(
            "API key {} for {} with {}. It is shown only once:",
            key.id,
            holder_text(&key.holder),
            rights_text(&key)
        ));
        out.line(text.expose())
    }
}
