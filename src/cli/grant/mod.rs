//! `strongroom grant`: what an API key may do with which credentials.

mod add;
mod explain;
mod list;

use clap::Subcommand;

use super::confirm::Confirmation;
use super::context::Context;
use super::failure::Failure;
use super::output::Output;
use super::runtime::block_on;
use crate::broker::Administrator;
use crate::id::{ApiKeyId, GrantId};

/// Manage grants: what an API key may do through the proxy
#[derive(Debug, Subcommand)]
pub(super) enum GrantCommand {
    Add(Box<add::AddGrant>),
    /// List grants, oldest first
    List {
        /// Only grants of this API key
        key: Option<ApiKeyId>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a grant, at once. The key stays limited to its other grants
    Remove {
        /// Grant id, as `grant list` shows it
        id: GrantId,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    Explain(explain::ExplainGrants),
}

impl GrantCommand {
    pub(super) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        match self {
            Self::Add(add) => add.run(context, out),
            Self::List { key, json } => list::list(key, json, context, out),
            Self::Remove { id, confirmation } => {
                confirmation.confirm(&format!("Remove grant {id}?"))?;
                remove(id, context, out)
            }
            Self::Explain(explain) => explain.run(context, out),
        }
    }
}

fn remove(id: GrantId, context: &Context, out: &mut Output) -> Result<(), Failure> {
    let (broker, operator) = (context.broker()?, Administrator::command_line(None));
    let removed = block_on(broker.remove_grant(&operator, &id.to_string()))??;
    out.line(format!("removed grant {id} of API key {}", removed.key))
}
