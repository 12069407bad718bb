//! `strongroom grant explain`: the decision about a request, and the rule that decides.

use clap::Args;

use crate::broker::{Administrator, ExplainRequest, ExplainedMethod, ExplainedUrl};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::id::{ApiKeyId, CredentialId};

/// Explain if an API key may send a request, and which grant decides. Nothing is sent
#[derive(Debug, Args)]
#[command(override_usage = "strongroom grant explain <KEY> --credential <ID> <METHOD> <URL>")]
pub(in crate::cli) struct ExplainGrants {
    /// Key id, as `key list` shows it
    key: ApiKeyId,
    /// Credential with which the request is sent
    #[arg(long, value_name = "ID")]
    credential: CredentialId,
    /// Method, for example GET
    #[arg(value_parser = |text: &str| ExplainedMethod::try_from(text.to_owned()))]
    method: ExplainedMethod,
    /// URL, for example https://api.github.com/user
    #[arg(value_parser = |text: &str| ExplainedUrl::try_from(text.to_owned()))]
    url: ExplainedUrl,
    /// Print JSON: {decision, grant, reason, missed}
    #[arg(long)]
    json: bool,
}

impl ExplainGrants {
    pub(super) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let (broker, operator) = (context.broker()?, Administrator::command_line(None));
        let request = ExplainRequest { key: self.key, credential: self.credential, method: self.method, url: self.url };
        let explained = broker.explain_grants(&operator, &request)?;
        if self.json {
            return out.json(&explained);
        }
        out.line(&explained.reason)?;
        let mut missed = explained.missed.iter();
        missed.try_for_each(|one| out.line(format!("grant {} does not match: {}", one.grant, one.reason)))
    }
}
