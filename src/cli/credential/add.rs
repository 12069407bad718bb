//! `strongroom credential add`: stores a credential.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use super::service_account::Service;
use crate::broker::{AuditContext, Caller, CreateRequest, CredentialSecret, GivenSecret, HostPattern, NewSecret};
use crate::cli::arguments;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::names::{check_inputs, hint_new_user};
use crate::cli::output::Output;
use crate::cli::runtime::block_on;
use crate::cli::secret_input::{self, FROM_FILE};
use crate::clock::UnixTime;
use crate::id::UserId;
use crate::kind::Kind;
use crate::secret::Secret;
use crate::validation::{exceeded_limit, wipe};

/// Credential to store. The secret comes from a prompt, a file or standard input, never from an
/// argument.
#[derive(Debug, Args)]
pub(in crate::cli) struct Add {
    /// Provider, as `strongroom provider list` shows it
    provider: String,
    /// User that owns the credential
    #[arg(long, allow_hyphen_values = true)]
    user: UserId,
    /// Kind of the credential
    #[arg(long, default_value = "api_key")]
    kind: Kind,
    /// Title [default: the provider's name]
    #[arg(long)]
    title: Option<String>,
    /// Expiry of an API key, for example 2027-01-31T00:00:00Z or Unix seconds
    #[arg(long, value_name = "TIME", value_parser = arguments::time)]
    expires_at: Option<UnixTime>,
    /// For host_scoped: host pattern, for example api.example.com or *.example.com
    #[arg(long)]
    host: Option<HostPattern>,
    /// For host_scoped: name of a header; its value is asked for; may be repeated
    #[arg(long, value_name = "NAME", conflicts_with = "from_file")]
    header: Vec<http::HeaderName>,
    /// Read the secret from this file, or from standard input for `-`. api_key: the key;
    /// user_password: two lines; host_scoped: one line `Name: value` for each header
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// Value for the provider's URLs; may be repeated. `strongroom provider show` lists them
    #[arg(long = "input", value_name = "NAME=VALUE", value_parser = arguments::named_value)]
    inputs: Vec<(String, String)>,
    /// Never give the secret out: requests can be sent with it through the proxy only
    #[arg(long)]
    no_export: bool,
    #[command(flatten)]
    service: Service,
    /// Print JSON: {id, provider, type, title}
    #[arg(long)]
    json: bool,
}

impl Add {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let broker = context.broker()?;
        // Checked before a secret is asked for.
        let provider = broker.provider(&self.provider)?;
        let takes = provider.entry.takes(self.kind);
        if self.kind != Kind::OAuth2 && !self.service.is_wanted() && !takes {
            return Err(Failure::new(format!("{} does not accept credentials of kind {}", self.provider, self.kind))
                .advise(format!("`strongroom provider show {}` lists the kinds that it accepts", self.provider)));
        }
        let known = if self.service.is_wanted() {
            provider.entry.caller_inputs()
        } else {
            let base = provider.entry.base_url(self.kind);
            base.into_iter().flat_map(|base| base.inputs.keys()).map(String::as_str).collect()
        };
        check_inputs(&self.provider, &known, &self.inputs)?;
        check_limit("inputs", self.inputs().into_iter().collect())?;
        hint_new_user(&broker.admin(AuditContext::command_line()), &self.user)?;
        let title = self.title.clone().unwrap_or_else(|| self.provider.clone());
        check_limit("title", title.as_str().into())?;
        let secret = self.secret()?;
        let caller = Caller::command_line(self.user);
        let request = CreateRequest { title, secret, exportable: self.no_export.then_some(false) };
        let created = block_on(broker.create(&caller, &self.provider, request))??;
        if self.json {
            return out.json(&created);
        }
        out.line(format!("stored {} {} of user {}", created.kind, created.id, caller.user))
    }

    /// Reads the secret from a file or a prompt.
    fn secret(&self) -> Result<NewSecret, Failure> {
        let given = self.from_file.as_deref().map(secret_input::from_file).transpose()?;
        given.as_ref().map_or(Ok(()), |secret| check_limit("key", secret.expose().into()))?;
        if self.service.is_wanted() {
            return self.service.secret(given, self.inputs());
        }
        let secret = match self.kind {
            Kind::OAuth2 => return Err(oauth_is_connected()),
            Kind::ApiKey => {
                let api_key = given.map_or_else(|| secret_input::ask("API key", FROM_FILE), Ok)?;
                CredentialSecret::ApiKey(not_empty(&api_key, "API key")?)
            }
            Kind::UserPassword => {
                let (username, password) = match given {
                    Some(text) => two_lines(&text)?,
                    None => (secret_input::ask("User name", FROM_FILE)?, secret_input::ask("Password", FROM_FILE)?),
                };
                let (username, password) = (not_empty(&username, "user name")?, not_empty(&password, "password")?);
                CredentialSecret::UserPassword { username, password }
            }
            Kind::HostScoped => {
                let host = self.host.clone().ok_or_else(|| {
                    Failure::configuration("a host_scoped credential needs a host")
                        .advise("give --host, for example --host api.example.com")
                })?;
                let headers = given.map_or_else(|| self.ask_headers(), |text| header_lines(&text))?;
                check_limit("headers", headers.iter().map(|(name, value)| (name.clone(), value.expose())).collect())?;
                CredentialSecret::HostScoped { host, headers }
            }
        };
        let expires_at = self.expires_at.filter(|_| self.kind == Kind::ApiKey);
        Ok(NewSecret::Given(GivenSecret { secret, expires_at, inputs: self.inputs() }))
    }

    fn inputs(&self) -> BTreeMap<String, String> {
        self.inputs.iter().cloned().collect()
    }

    fn ask_headers(&self) -> Result<BTreeMap<String, Secret>, Failure> {
        if self.header.is_empty() {
            return Err(Failure::configuration("a host_scoped credential needs headers")
                .advise("give --header Authorization, or --from-file FILE with lines `Name: value`"));
        }
        self.header
            .iter()
            .map(|name| Ok((name.to_string(), header_value(&secret_input::ask(name.as_str(), FROM_FILE)?)?)))
            .collect()
    }
}

/// Checks the limit that the member with this name has in a request body.
fn check_limit(name: &str, mut value: Value) -> Result<(), Failure> {
    let exceeded = exceeded_limit(name, &value);
    wipe(&mut value);
    let what = if name == "key" { "secret" } else { name };
    exceeded.map_or(Ok(()), |why| Err(Failure::new(format!("{what}: {why}")).advise("nothing was stored")))
}

fn oauth_is_connected() -> Failure {
    Failure::configuration("an oauth2 credential cannot be entered by hand")
        .advise("use `strongroom connect PROVIDER`, or --grant for a grant without a login")
}

fn not_empty(secret: &Secret, what: &str) -> Result<Secret, Failure> {
    Secret::trimmed(secret.expose()).ok_or_else(|| Failure::new(format!("the {what} is empty")))
}

fn two_lines(text: &Secret) -> Result<(Secret, Secret), Failure> {
    match text.expose().lines().collect::<Vec<_>>()[..] {
        [username, password] => Ok((Secret::new(username), Secret::new(password))),
        _ => Err(Failure::new("a user name and password must be two lines: the name, then the password")),
    }
}

fn header_lines(text: &Secret) -> Result<BTreeMap<String, Secret>, Failure> {
    let mut headers = BTreeMap::new();
    for (number, line) in text.expose().lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong =
            || Failure::new(format!("line {} is not a header", number + 1)).advise("use the form `Name: value`");
        let (name, value) = line.split_once(':').ok_or_else(wrong)?;
        let name: http::HeaderName = name.trim().parse().map_err(|_| wrong())?;
        if headers.insert(name.to_string(), header_value(&Secret::new(value.trim()))?).is_some() {
            return Err(Failure::new(format!("line {} repeats the header {name}", number + 1)));
        }
    }
    if headers.is_empty() { Err(Failure::new("the file contains no header")) } else { Ok(headers) }
}

/// Checks that a value is not empty and valid in a header (RFC 9110 §5.5).
fn header_value(value: &Secret) -> Result<Secret, Failure> {
    let value = not_empty(value, "header's value")?;
    match http::HeaderValue::from_str(value.expose()) {
        Ok(_) => Ok(value),
        Err(_) => Err(Failure::new("a header value must be printable ASCII without line ends")),
    }
}
