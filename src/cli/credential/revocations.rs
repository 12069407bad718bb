//! `strongroom credential revocations`: lists revocations that the provider has not confirmed.

use clap::Args;

use super::list::report_damage;
use crate::broker::{Administrator, AuditContext, CredentialPage};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, note};
use crate::cli::runtime::block_on;
use crate::id::UserId;

/// Filter and output format.
#[derive(Debug, Args)]
pub(in crate::cli) struct RevocationsArgs {
    /// Only this user's revocations
    #[arg(long, allow_hyphen_values = true)]
    user: Option<UserId>,
    /// Try all of them now, due or not, and list the remaining ones
    #[arg(long, conflicts_with = "user")]
    retry: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl RevocationsArgs {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let broker = context.broker()?;
        if self.retry {
            let confirmed = block_on(broker.retry_all_revocations(&AuditContext::command_line()))??;
            note(format!("revocations confirmed: {confirmed}"));
        }
        let administrator = Administrator::command_line(self.user);
        let list = broker.revocations(&administrator, CredentialPage::default())?;
        let header = ["CREDENTIAL", "USER", "PROVIDER", "ATTEMPTS", "NEXT", "GIVEN UP", "LAST ERROR"];
        out.list(self.json, &list.revocations, header, |waiting| {
            [
                waiting.credential_id.to_string(),
                waiting.user.to_string(),
                waiting.provider.to_string(),
                waiting.attempts.to_string(),
                waiting.next_attempt_at.to_string(),
                waiting.give_up_at.to_string(),
                waiting.last_error.clone().unwrap_or_default(),
            ]
        })?;
        report_damage(list.damaged, out)
    }
}
