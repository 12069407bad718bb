//! `strongroom credential revocations`: lists revocations that the provider has not confirmed.

use clap::Args;

use crate::broker::{Administrator, WaitingRevocation};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, note};
use crate::cli::runtime::block_on;
use crate::id::UserId;
use crate::vault::{CredentialPage, KeyHolder};

/// Filter and output format.
#[derive(Debug, Args)]
pub(in crate::cli) struct RevocationsArgs {
    /// Only this user's revocations
    #[arg(long)]
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
        let mut administrator = Administrator::command_line();
        if self.retry {
            let confirmed = block_on(broker.retry_all_revocations(&administrator.who))??;
            note(format!("revocations confirmed: {confirmed}"));
        }
        if let Some(user) = self.user {
            administrator.holder = KeyHolder::User(user);
        }
        let list = broker.revocations(&administrator, CredentialPage::default())?;
        if self.json {
            out.json(&list.revocations)?;
        } else {
            let rows: Vec<_> = list.revocations.into_iter().map(row).collect();
            out.columns(["CREDENTIAL", "USER", "PROVIDER", "ATTEMPTS", "NEXT", "GIVEN UP", "LAST ERROR"], &rows)?;
        }
        out.flush()?;
        list.damaged.iter().skip(1).for_each(|error| note(error.to_string()));
        list.damaged.into_iter().next().map_or(Ok(()), |error| Err(error.into()))
    }
}

fn row(one: WaitingRevocation) -> [String; 7] {
    [
        one.credential_id.to_string(),
        one.user.to_string(),
        one.provider.to_string(),
        one.attempts.to_string(),
        one.next_attempt_at.to_string(),
        one.give_up_at.to_string(),
        one.last_error.unwrap_or_default(),
    ]
}
