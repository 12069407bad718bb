//! `strongroom credential token`: prints a live secret, for scripts.

use std::time::Duration;

use clap::Args;

use super::remove::not_found;
use crate::broker::{AuditContext, DEFAULT_MIN_TTL, Error, LiveSecret};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::runtime::block_on;
use crate::duration;
use crate::http::SecretResponse;
use crate::id::{CredentialId, UserId};

/// Print the secret of a credential; an access token is refreshed first if it ends soon
///
/// An access token or an API key is printed as one line, other secrets as JSON. The audit log
/// records the reading. A credential with exportable = false is refused.
#[derive(Debug, Args)]
pub(in crate::cli) struct TokenArgs {
    /// Credential id, as `credential list` shows it
    id: CredentialId,
    /// User that owns it [default: any user]
    #[arg(long, allow_hyphen_values = true)]
    user: Option<UserId>,
    /// Minimum remaining life of an access token [default: 5m]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    min_ttl: Option<Duration>,
    /// Print JSON, with the place of the secret in a request: {…, in, name, prefix, base_url}
    #[arg(long)]
    json: bool,
}

impl TokenArgs {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let broker = context.broker()?;
        let min_ttl = self.min_ttl.unwrap_or(DEFAULT_MIN_TTL);
        let read = block_on(broker.token_for_operator(self.user.clone(), self.id, min_ttl))?;
        let usable = read.map_err(|error| match error {
            Error::CredentialNotFound => {
                not_found(self.id, self.user.as_ref(), &broker.admin(AuditContext::command_line()))
            }
            Error::NotExportable => Failure::new(format!("the secret of credential {} is never given out", self.id))
                .advise("it was stored with exportable = false; send requests with it through the proxy"),
            other => other.into(),
        })?;
        match &usable.secret {
            LiveSecret::Token { access_token: secret, .. } | LiveSecret::ApiKey(secret) if !self.json => {
                // Unchanged: a filter for terminals would change the secret.
                out.raw(secret.expose())?;
                out.raw("\n")
            }
            _ => out.json(&SecretResponse::from(&usable)),
        }
    }
}
