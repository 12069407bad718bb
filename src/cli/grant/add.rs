//! `strongroom grant add`: a new grant of an API key.

use clap::{Args, ValueEnum};

use super::list::{matches_text, terms_text};
use crate::broker::{
    Administrator, AllowTerms, Approval, EffectName, Error, HostPattern, MethodRule, NewGrant, PathPattern, Rate,
};
use crate::cli::arguments;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, note};
use crate::cli::runtime::block_on;
use crate::clock::UnixTime;
use crate::id::{ApiKeyId, CredentialId, ProviderName};

/// Add a grant to an API key; its first one limits the key to its grants
#[derive(Debug, Args)]
#[command(override_usage = "strongroom grant add [OPTIONS] <KEY>")]
pub(in crate::cli) struct AddGrant {
    /// Key id, as `key list` shows it
    key: ApiKeyId,
    /// Allow or deny what the other options name. A deny wins over every allow
    #[arg(long, required_unless_present = "preset", conflicts_with = "preset")]
    effect: Option<EffectName>,
    /// Conditions that are named in advance
    #[arg(long)]
    preset: Option<Preset>,
    /// Provider of the credential; may be repeated [default: all]
    #[arg(long = "provider", value_name = "PROVIDER", value_delimiter = ',')]
    providers: Vec<ProviderName>,
    /// Credential; may be repeated [default: all]
    #[arg(long = "credential", value_name = "ID", value_delimiter = ',')]
    credentials: Vec<CredentialId>,
    /// Host of the request, for example api.github.com, *.example.com or a URL; may be repeated
    /// [default: all]
    #[arg(long = "host", value_name = "HOST", value_delimiter = ',')]
    hosts: Vec<HostPattern>,
    /// Method in upper case; GET covers HEAD; may be repeated [default: all]
    #[arg(long = "method", value_name = "METHOD", value_delimiter = ',', conflicts_with = "preset")]
    methods: Vec<MethodRule>,
    /// Pattern of the path: `*` within a segment, `**` across segments; may be repeated [default: all]
    #[arg(long = "path", value_name = "PATTERN")]
    paths: Vec<PathPattern>,
    /// The most requests in a period, for example 60/m (s, m, h or d) [default: unlimited]
    #[arg(long)]
    rate: Option<Rate>,
    /// Lifetime of the grant, for example 7d [default: unlimited]
    #[arg(long, value_name = "DURATION", value_parser = arguments::lifetime)]
    expires: Option<UnixTime>,
    /// Ask a person to approve each request
    #[arg(long)]
    approval: Option<Approval>,
    /// Print JSON: the grant as `grant list --json` shows it
    #[arg(long)]
    json: bool,
}

/// Conditions of a grant that are named in advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Preset {
    /// Allows GET and HEAD
    ReadOnly,
}

impl AddGrant {
    pub(super) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let terms =
            AllowTerms { rate: self.rate, expires: self.expires, approval: self.approval.unwrap_or(Approval::Never) };
        let effect = self.effect.unwrap_or(EffectName::Allow).with(terms);
        let methods = match self.preset {
            Some(Preset::ReadOnly) => vec!["GET".parse().expect("GET is a method")],
            None => self.methods,
        };
        let new = NewGrant {
            key: self.key,
            effect: effect.map_err(|fault| Failure::configuration(fault.to_string()))?,
            providers: self.providers,
            credentials: self.credentials,
            hosts: self.hosts,
            methods,
            paths: self.paths,
        };
        let (broker, operator) = (context.broker()?, Administrator::command_line(None));
        let added = block_on(broker.add_grant(&operator, new))?.map_err(|error| match error {
            faults @ Error::Members(_) => Failure::new(faults.to_string()).advise(
                "`strongroom key list`, `credential list` and `provider list` show what there is; nothing was changed",
            ),
            other => other.into(),
        })?;
        if self.json {
            return out.json(&added);
        }
        let effect = if added.effect == EffectName::Allow { "allows" } else { "denies" };
        let terms = Some(terms_text(&added)).filter(|terms| !terms.is_empty());
        let terms = terms.map_or_else(String::new, |terms| format!(" ({terms})"));
        note(format!("grant of API key {} that {effect}: {}{terms}", added.key, matches_text(&added)));
        out.line(added.id.to_string())
    }
}
