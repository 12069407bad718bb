//! `strongroom key`: manage API keys.

mod check;
mod create;
mod list;
mod shown;
mod update;

use clap::Subcommand;

use self::check::no_key;
use super::confirm::Confirmation;
use super::context::Context;
use super::failure::Failure;
use super::output::Output;
use super::runtime::block_on;
use crate::id::ApiKeyId;

/// Manage API keys
#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Create an API key; it is shown once
    Create(Box<create::Create>),
    /// List API keys; the keys themselves are not stored
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Change the name, permissions, limits or expiry of an API key, at once; the key itself stays
    Update(Box<update::Update>),
    /// Revoke an API key, at once and permanently
    Revoke {
        /// Key id, as `key list` shows it
        id: ApiKeyId,
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

impl KeyCommand {
    pub(super) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        match self {
            Self::Create(create) => create.run(context, out),
            Self::List { json } => list::list(json, context, out),
            Self::Update(update) => update.run(context, out),
            Self::Revoke { id, confirmation } => {
                confirmation.confirm(&format!("Revoke API key {id} permanently?"))?;
                revoke(id, context, out)
            }
        }
    }
}

fn revoke(id: ApiKeyId, context: &Context, out: &mut Output) -> Result<(), Failure> {
    if block_on(context.admin()?.revoke_api_key(id))?? {
        out.line(format!("revoked API key {id}"))
    } else {
        Err(no_key(format!("there is no active API key {id}")))
    }
}
