//! `strongroom credential`: what is kept for whom; adding and removing by hand.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::context::block_on;
use super::export::Export;
use super::import::Import;
use super::output::{Output, note};
use super::revocations::Revocations;
use super::service::Service;
use super::{Context, Failure, refused, secret_input};
use crate::broker::{Broker, Caller, CreateRequest, NewSecret};
use crate::clock::{Clock, UnixTime};
use crate::id::{CredentialId, ProviderName, UserId};
use crate::kind::Kind;
use crate::secret::Secret;
use crate::vault::{AuditContext, CredentialMetadata, CredentialPage, DamagedRemoval, HostPattern, Vault};

/// The credentials that are kept
#[derive(Debug, Subcommand)]
pub(super) enum Credential {
    /// List credentials, oldest first; never a secret
    List {
        /// Of this user alone
        #[arg(long)]
        user: Option<UserId>,
        /// Of this provider alone
        #[arg(long)]
        provider: Option<ProviderName>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Store an API key, a user name with password, or headers for a host
    Add(Box<Add>),
    Import(Box<Import>),
    Export(Export),
    /// List the revocations that no provider has confirmed yet; with --retry, try them all now
    Revocations(Revocations),
    /// Delete a credential, and revoke it at the provider
    Remove {
        /// Its id, as `credential list` shows it
        id: CredentialId,
        /// Whose it is [default: whoever has it]
        #[arg(long)]
        user: Option<UserId>,
        /// It is damaged: erase what is there of it. Nothing can be revoked
        #[arg(long, conflicts_with = "user")]
        damaged: bool,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// A credential to store. The secret comes from a prompt, a file or the standard input, never from an argument.
#[derive(Debug, Args)]
pub(super) struct Add {
    /// The provider's name
    provider: String,
    /// Whose it is
    #[arg(long)]
    user: UserId,
    /// What it is made of
    #[arg(long, default_value = "api_key")]
    kind: Kind,
    /// What to call it [default: the provider's name]
    #[arg(long)]
    title: Option<String>,
    /// When an API key ends, for example 2027-01-31T00:00:00Z or Unix seconds
    #[arg(long, value_name = "TIME", value_parser = time)]
    expires_at: Option<UnixTime>,
    /// For host_scoped: the host, for example api.example.com or *.example.com
    #[arg(long)]
    host: Option<HostPattern>,
    /// For host_scoped: the name of a header, whose value is asked for; may be repeated
    #[arg(long, value_name = "NAME", conflicts_with = "from_file")]
    header: Vec<http::HeaderName>,
    /// Read the secret from this file, or from the standard input for `-`. api_key: the key; user_password: two lines;
    /// host_scoped: a line `Name: value` for each header
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    #[command(flatten)]
    service: Service,
    /// As JSON: {id, provider, type, title}
    #[arg(long)]
    json: bool,
}

fn time(text: &str) -> Result<UnixTime, String> {
    let seconds = text.parse::<i64>().ok();
    let timestamp = || text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second);
    seconds.or_else(timestamp).map(UnixTime).ok_or_else(|| "write a time such as 2027-01-31T00:00:00Z".to_owned())
}

impl Credential {
    /// Runs the command.
    pub(super) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        match self {
            Self::List { user, provider, json } => list(user, provider.as_ref(), json, context, out),
            Self::Add(add) => add.run(context, out),
            Self::Import(import) => import.run(context, out),
            Self::Export(export) => export.run(context, out),
            Self::Revocations(revocations) => revocations.run(context, out),
            Self::Remove { id, damaged: true, json, .. } => remove_damaged(id, json, context, out),
            Self::Remove { id, user, json, .. } => remove(id, user, json, context, out),
        }
    }
}

#[derive(Serialize)]
struct Listed {
    id: CredentialId,
    user: UserId,
    provider: ProviderName,
    #[serde(rename = "type")]
    kind: &'static str,
    title: String,
    scopes: Option<Vec<String>>,
    username: Option<String>,
    host: Option<String>,
    status: &'static str,
    created_at: UnixTime,
    updated_at: UnixTime,
    expires_at: Option<UnixTime>,
    last_used_at: Option<UnixTime>,
    /// Why the last refresh failed; nothing after one that did not.
    last_error: Option<String>,
    reauth_before: Option<UnixTime>,
    /// The vault was restored from a backup since these tokens came.
    may_be_stale: bool,
}

impl Listed {
    fn of(summary: CredentialMetadata, now: UnixTime, vault: &Vault) -> Self {
        Self {
            may_be_stale: vault.may_be_stale(&summary),
            status: summary.status_at(now).name(),
            id: summary.id,
            user: summary.user,
            provider: summary.provider,
            kind: summary.kind.name(),
            title: summary.title,
            scopes: summary.scopes,
            username: summary.username,
            host: summary.host.map(|host| host.to_string()),
            created_at: summary.created_at,
            updated_at: summary.updated_at,
            expires_at: summary.expires_at,
            last_used_at: summary.last_used_at,
            last_error: summary.refreshing.last_error.map(|error| error.what),
            reauth_before: summary.refreshing.lapses_at,
        }
    }
}

fn list(
    user: Option<UserId>,
    provider: Option<&ProviderName>,
    json: bool,
    context: &Context,
    out: &mut Output,
) -> Result<(), Failure> {
    let vault = context.vault()?;
    let mut listed: Vec<Listed> = Vec::new();
    let mut damaged = Vec::new();
    let now = Clock::system().now();
    for user in users(&vault, user)? {
        vault.list_each(&user, provider, CredentialPage::default(), |row| match row {
            Ok(summary) => listed.push(Listed::of(summary.clone(), now, &vault)),
            Err(error) => damaged.push(error),
        })?;
    }
    show(listed, json, out)?;
    out.flush()?;
    // The others are shown; that some are not is said by the exit code too.
    damaged.iter().skip(1).for_each(|error| note(error.to_string()));
    damaged.into_iter().next().map_or(Ok(()), |error| Err(error.into()))
}

fn show(listed: Vec<Listed>, json: bool, out: &mut Output) -> Result<(), Failure> {
    if json {
        return out.json(&listed);
    }
    let rows: Vec<_> = listed
        .into_iter()
        .map(|one| {
            let whose = one.username.or(one.host).unwrap_or_default();
            [
                one.id.to_string(),
                one.user.to_string(),
                one.provider.to_string(),
                one.kind.to_owned(),
                if one.may_be_stale { format!("{}, may be stale", one.status) } else { one.status.to_owned() },
                one.title,
                whose,
            ]
        })
        .collect();
    out.columns(["ID", "USER", "PROVIDER", "KIND", "STATUS", "TITLE", "ACCOUNT OR HOST"], &rows)
}

/// The one user, or all.
fn users(vault: &Vault, one: Option<UserId>) -> Result<Vec<UserId>, Failure> {
    match one {
        Some(user) => Ok(vec![user]),
        None => Ok(vault.users()?.into_iter().map(|user| user.id).collect()),
    }
}

impl Add {
    fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let broker = context.broker()?;
        // Before somebody types a secret for nothing.
        let takes = super::provider::found(broker.catalog(), &self.provider)?.entry.takes(self.kind);
        if self.kind != Kind::OAuth2 && !self.service.is_wanted() && !takes {
            return Err(Failure::new(format!("{} does not take credentials of the kind {}", self.provider, self.kind))
                .advise(format!("`strongroom provider show {}` shows what it takes", self.provider)));
        }
        let secret = self.secret()?;
        let caller = Caller { user: self.user, who: AuditContext::command_line() };
        let title = self.title.unwrap_or_else(|| self.provider.clone());
        let request = CreateRequest { title, secret };
        let created = block_on(broker.create(&caller, &self.provider, request))?.map_err(refused)?;
        if self.json {
            return out.json(&created);
        }
        out.line(format!("stored {} {} of user {}", created.kind, created.id, caller.user))
    }

    /// Reads the secret from where the command line says.
    fn secret(&self) -> Result<NewSecret, Failure> {
        let given = self.from_file.as_deref().map(secret_input::from_file).transpose()?;
        if self.service.is_wanted() {
            return self.service.secret(given);
        }
        match self.kind {
            Kind::OAuth2 => Err(oauth_is_connected()),
            Kind::ApiKey => {
                let api_key = given.map_or_else(|| secret_input::ask("API key"), Ok)?;
                Ok(NewSecret::ApiKey { api_key: not_empty(api_key, "API key")?, expires_at: self.expires_at })
            }
            Kind::UserPassword => {
                let (username, password) = match given {
                    Some(text) => two_lines(&text)?,
                    None => (secret_input::ask("User name")?, secret_input::ask("Password")?),
                };
                let (username, password) = (not_empty(username, "user name")?, not_empty(password, "password")?);
                Ok(NewSecret::UserPassword { username, password })
            }
            Kind::HostScoped => {
                let host = self.host.clone().ok_or_else(|| {
                    Failure::configuration("a host-scoped credential needs its host")
                        .advise("add --host api.example.com")
                })?;
                let headers = match given {
                    Some(text) => header_lines(&text)?,
                    None => self.ask_headers()?,
                };
                Ok(NewSecret::HostScoped { host, headers })
            }
        }
    }

    fn ask_headers(&self) -> Result<BTreeMap<String, Secret>, Failure> {
        if self.header.is_empty() {
            return Err(Failure::configuration("a host-scoped credential needs headers")
                .advise("add --header Authorization, or --from-file FILE with lines `Name: value`"));
        }
        self.header
            .iter()
            .map(|name| Ok((name.to_string(), header_value(secret_input::ask(name.as_str())?)?)))
            .collect()
    }
}

fn oauth_is_connected() -> Failure {
    Failure::configuration("an oauth2 credential is connected, not typed in")
        .advise("`strongroom connect PROVIDER` connects one; --grant makes one that asks for its tokens by itself")
}

fn not_empty(secret: Secret, what: &str) -> Result<Secret, Failure> {
    if secret.is_empty() { Err(Failure::new(format!("the {what} is empty"))) } else { Ok(secret) }
}

fn two_lines(text: &Secret) -> Result<(Secret, Secret), Failure> {
    match text.expose().lines().collect::<Vec<_>>()[..] {
        [username, password] => Ok((Secret::new(username), Secret::new(password))),
        _ => Err(Failure::new("a user name and a password are two lines: first the name, then the password")),
    }
}

fn header_lines(text: &Secret) -> Result<BTreeMap<String, Secret>, Failure> {
    let mut headers = BTreeMap::new();
    for (number, line) in text.expose().lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = || Failure::new(format!("line {} is no header", number + 1)).advise("write each as `Name: value`");
        let (name, value) = line.split_once(':').ok_or_else(wrong)?;
        let name: http::HeaderName = name.trim().parse().map_err(|_| wrong())?;
        if headers.insert(name.to_string(), header_value(Secret::new(value.trim()))?).is_some() {
            return Err(Failure::new(format!("line {} names {name} again", number + 1)));
        }
    }
    if headers.is_empty() { Err(Failure::new("there is no header in it")) } else { Ok(headers) }
}

/// A value that can stand in a header (RFC 9110 §5.5), and is not empty.
fn header_value(value: Secret) -> Result<Secret, Failure> {
    let value = not_empty(value, "header's value")?;
    match http::HeaderValue::from_str(value.expose()) {
        Ok(_) => Ok(value),
        Err(_) => Err(Failure::new("a header's value has no line ends, control characters or characters beyond ASCII")),
    }
}

fn remove(
    id: CredentialId,
    user: Option<UserId>,
    json: bool,
    context: &Context,
    out: &mut Output,
) -> Result<(), Failure> {
    let broker = context.broker()?;
    let summary = owner(&broker, user, &id)?;
    let caller = Caller { user: summary.user, who: AuditContext::command_line() };
    let text = id.to_string();
    let deleted = block_on(broker.delete(&caller, summary.provider.as_str(), &text))?.map_err(refused)?;
    if json {
        return out.json(&deleted);
    }
    out.line(match deleted.revoked {
        Some(true) => format!("revoked and deleted {id}"),
        Some(false) => format!("deleted {id}; the revocation failed, and the server will try it again"),
        None => format!("deleted {id}; nothing was to be revoked"),
    })
}

/// Erases what does not open.
fn remove_damaged(id: CredentialId, json: bool, context: &Context, out: &mut Output) -> Result<(), Failure> {
    let vault = context.vault()?;
    let holds = match block_on(vault.remove_damaged(&id, &AuditContext::command_line()))?? {
        DamagedRemoval::Done { holds } => holds,
        DamagedRemoval::Absent => return Err(absent(&id)),
        DamagedRemoval::Sound => {
            return Err(Failure::new(format!("the credential {id} is not damaged"))
                .advise("remove it without --damaged: then it is revoked at its provider too"));
        }
    };
    if json {
        out.json(&serde_json::json!({"deleted": true, "credentials_id": id, "revoked": null, "vault_holds": holds}))?;
    } else {
        out.line(format!("erased {id}; nothing of it could be revoked: end its grant by hand, at the provider"))?;
    }
    out.flush()?;
    if holds {
        return Ok(());
    }
    Err(Failure::damaged("it is erased; that nothing else is missing from this vault cannot be shown").advise(
        "`strongroom vault verify` names what does not hold. Where you know that what is left is all that there should be: \
         `strongroom vault repair --accept`",
    ))
}

fn absent(id: &CredentialId) -> Failure {
    Failure::new(format!("there is no credential {id}")).advise("`strongroom credential list` shows all of them")
}

/// The credential's summary, whoever has it.
fn owner(broker: &Broker, user: Option<UserId>, id: &CredentialId) -> Result<CredentialMetadata, Failure> {
    for user in users(broker.vault(), user)? {
        if let Some(summary) = broker.vault().credential(&user, id)? {
            return Ok(summary);
        }
    }
    Err(absent(id))
}
