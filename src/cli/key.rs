//! `strongroom key`: manage API keys.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::context::Context;
use super::failure::Failure;
use super::output::{Output, note};
use super::runtime::block_on;
use crate::broker::{ApiKey, KeyHolder, NewApiKey, UserPattern};
use crate::clock::{Clock, UnixTime};
use crate::duration;
use crate::id::{ApiKeyId, UserId};
use crate::permission::{Permission, Permissions};

/// Manage API keys
#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Create an API key; it is shown once
    Create(Create),
    /// List API keys; the keys themselves are not stored
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke an API key, at once and permanently
    Revoke {
        /// Key id, as `key list` shows it
        id: ApiKeyId,
    },
}

/// Properties of the new key.
#[derive(Debug, Args)]
pub(super) struct Create {
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
    /// Lifetime of the key, for example 90d [default: unlimited]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    expires: Option<Duration>,
    /// Name of the key
    #[arg(long)]
    name: Option<String>,
    /// Print JSON: {id, api_key, user, permissions, expires_at}
    #[arg(long)]
    json: bool,
}

impl KeyCommand {
    pub(super) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        match self {
            Self::Create(create) => create.run(context, out),
            Self::List { json } => list(json, context, out),
            Self::Revoke { id } => revoke(id, context, out),
        }
    }
}

impl Create {
    fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let holder = match self.user {
            Some(user) => KeyHolder::User(user),
            None => KeyHolder::Service { users: self.users },
        };
        let expires_at = self.expires.map(|after| Clock::system().now().plus(after));
        let permissions = Permissions::from_iter(self.permissions);
        let new = NewApiKey { name: self.name, holder, permissions, expires_at };
        let (key, text) = block_on(context.admin()?.create_api_key(new))??;
        if self.json {
            let user = match &key.holder {
                KeyHolder::User(user) => Some(user),
                KeyHolder::Service { .. } => None,
            };
            let permissions: Vec<Permission> = key.permissions.iter().collect();
            return out.json(&json!({
                "id": key.id, "api_key": text.expose(), "user": user, "permissions": permissions, "expires_at": expires_at,
            }));
        }
        note(format!(
            "API key {} for {} with {}. It is shown only once:",
            key.id,
            holder_text(&key.holder),
            key.permissions
        ));
        out.line(text.expose())
    }
}

fn list(json: bool, context: &Context, out: &mut Output) -> Result<(), Failure> {
    let (keys, now) = (context.admin()?.api_keys()?, Clock::system().now());
    if json {
        return out.json(&keys.iter().map(|key| listed(key, now)).collect::<Vec<_>>());
    }
    out.table(&keys, ["ID", "NAME", "FOR", "PERMISSIONS", "EXPIRES", "STATUS"], |key| {
        [
            key.id.to_string(),
            key.name.clone().unwrap_or_default(),
            holder_text(&key.holder),
            key.permissions.to_string(),
            key.expires_at.map_or_else(|| "never".to_owned(), |at| at.to_string()),
            status(key, now).to_owned(),
        ]
    })
}

fn listed(key: &ApiKey, now: UnixTime) -> Value {
    let (user, users) = match &key.holder {
        KeyHolder::User(user) => (Some(user), &[][..]),
        KeyHolder::Service { users } => (None, &users[..]),
    };
    json!({
        "id": key.id,
        "name": key.name,
        "user": user,
        "service": user.is_none(),
        "users": users.iter().map(UserPattern::as_str).collect::<Vec<_>>(),
        "permissions": key.permissions.iter().collect::<Vec<_>>(),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "status": status(key, now),
    })
}

fn status(key: &ApiKey, now: UnixTime) -> &'static str {
    match key.revoked_at {
        Some(_) => "revoked",
        None if key.is_live(now) => "active",
        None => "expired",
    }
}

fn holder_text(holder: &KeyHolder) -> String {
    match holder {
        KeyHolder::User(user) => format!("user {user}"),
        KeyHolder::Service { users } if users.is_empty() => "any user".to_owned(),
        KeyHolder::Service { users } => {
            format!("users {}", users.iter().map(UserPattern::as_str).collect::<Vec<_>>().join(", "))
        }
    }
}

fn revoke(id: ApiKeyId, context: &Context, out: &mut Output) -> Result<(), Failure> {
    if block_on(context.admin()?.revoke_api_key(id))?? {
        out.line(format!("revoked API key {id}"))
    } else {
        Err(Failure::new(format!("there is no active API key {id}")).advise("`strongroom key list` lists all keys"))
    }
}
