//! `strongroom approval`: a person decides about requests of API keys.

mod decide;
mod list;

use clap::Subcommand;

use super::confirm::Confirmation;
use super::context::Context;
use super::failure::Failure;
use super::output::Output;
use crate::id::ApprovalId;

/// Decide about requests that need approval
#[derive(Debug, Subcommand)]
pub(super) enum ApprovalCommand {
    /// List requests that wait for approval, and recent decisions, oldest first
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a request and approve it. It may then be sent once, within an hour
    Approve {
        /// Approval id, as `approval list` shows it
        id: ApprovalId,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Deny a request
    Deny {
        /// Approval id, as `approval list` shows it
        id: ApprovalId,
    },
}

impl ApprovalCommand {
    pub(super) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        match self {
            Self::List { json } => list::list(json, context, out),
            Self::Approve { id, confirmation } => decide::approve(id, confirmation, context, out),
            Self::Deny { id } => decide::deny(id, context, out),
        }
    }
}
