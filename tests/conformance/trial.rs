//! One provider's part, and one account that is connected, looked at and disconnected there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use strongroom::catalog::Provider;
use strongroom::catalog::entry::{ExpiryUnit, OAuth};
use strongroom::catalog::value::{JsonPointer, Lifetime};
use strongroom::clock::UnixTime;
use strongroom::id::{CredentialId, UserId};
use strongroom::vault::{AuditContext, CredentialSecret, Tokens};
use toml::Table;

use super::emulator::{Clients, Emulator, Options, Refusal, Rules};
use super::mutations::Mutation;
use super::support::flow::CALLBACK;
use super::support::http::Ask;
use super::support::{Server, Setup};

/// The scopes that the application asks for; the provider grants the first alone.
const SCOPES: [&str; 2] = ["conformance.first", "conformance.second"];
/// Scopes that are granted by what comes with them.
const NAMELESS: [&str; 2] = ["openid", "offline_access"];
/// A secret that looks different in every encoding.
const CLIENT_SECRET: &str = "s+c/r%41t:=&~";
/// Lifetime of the provider's access tokens: not the default of any entry.
const LIFETIME: u64 = 3607;
/// Clients at each provider: one for each change of its entry.
const CLIENTS: usize = 256;

/// The clock of the servers of these tests begins here.
const NOW: UnixTime = UnixTime(1_800_000_000);

/// Trials with one running server.
pub struct Bench {
    parts: BTreeMap<String, Arc<Part>>,
    trials: Vec<Trial>,
    config: Table,
}

/// An emulated provider.
struct Part {
    emulator: Emulator,
    entry: OAuth,
    display_name: String,
}

/// One flow with one provider.
pub struct Trial {
    /// Description of the trial.
    pub name: String,
    /// The provider's name in the configuration, and the user's at the provider.
    provider: String,
    part: Arc<Part>,
    /// True if the provider also refuses refreshes in each of its own words.
    refuses: bool,
}

impl Bench {
    pub fn new() -> Self {
        Self { parts: BTreeMap::new(), trials: Vec::new(), config: Table::new() }
    }

    /// The entry as the catalogue has it; the configuration moves its URLs to the sandbox, and nothing else.
    pub async fn add(&mut self, provider: &Provider) {
        let part = self.part(provider).await;
        let table = Table::from_iter([("oauth".to_owned(), part.moved_urls().into())]);
        self.take(provider.name.to_string(), provider.name.to_string(), part, table, 0);
    }

    /// An entry that is not in the catalogue; the configuration has all of it.
    pub async fn add_own(&mut self, provider: &Provider) {
        let part = self.part(provider).await;
        let mut table = Table::try_from(&provider.entry).expect("an entry is TOML");
        merge(&mut table, &Table::from_iter([("oauth".to_owned(), part.moved_urls().into())]));
        self.take(provider.name.to_string(), provider.name.to_string(), part, table, 0);
    }

    /// A client that goes by another entry than the provider.
    pub async fn add_changed(&mut self, provider: &Provider, mutation: &Mutation) {
        let part = self.part(provider).await;
        let oauth = mutation.changed(|oauth| merge(oauth, &part.moved_urls()));
        let table = Table::from_iter([
            ("display_name".to_owned(), part.display_name.clone().into()),
            ("oauth".to_owned(), oauth.into()),
        ]);
        let number = self.trials.iter().filter(|trial| Arc::ptr_eq(&trial.part, &part)).count();
        let name = format!("{} with another {} ({})", provider.name, mutation.class, mutation.detail);
        self.take(name, format!("{}-{number}", provider.name), part, table, number);
        if let Some(trial) = self.trials.last_mut() {
            trial.refuses = mutation.class.starts_with("refresh.refused_");
        }
    }

    fn take(&mut self, name: String, provider: String, part: Arc<Part>, mut table: Table, client: usize) {
        table.insert("client_id".to_owned(), client_id(client).into());
        table.insert("client_secret".to_owned(), CLIENT_SECRET.into());
        self.config.insert(provider.clone(), table.into());
        self.trials.push(Trial { name, provider, part, refuses: true });
    }

    async fn part(&mut self, provider: &Provider) -> Arc<Part> {
        let name = provider.name.to_string();
        if let Some(part) = self.parts.get(&name) {
            return Arc::clone(part);
        }
        let part = Arc::new(Part::of(provider).await);
        self.parts.insert(name, Arc::clone(&part));
        part
    }

    /// The server that knows all of these providers, and what is to be tried with it.
    pub async fn start(self) -> (Server, Vec<Trial>) {
        let config = Table::from_iter([("providers".to_owned(), self.config.into())]);
        let config = toml::to_string(&config).expect("a table is TOML");
        (Server::with(Setup { config, ..Setup::default() }).await, self.trials)
    }
}

fn client_id(number: usize) -> String {
    format!("client-{number}+/%41")
}

/// Lays `over` over `table`, key by key.
fn merge(table: &mut Table, over: &Table) {
    for (key, value) in over {
        match (table.get_mut(key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => merge(below, above),
            _ => drop(table.insert(key.clone(), value.clone())),
        }
    }
}

impl Part {
    async fn of(provider: &Provider) -> Self {
        let entry = provider.entry.oauth.clone().expect("a provider with OAuth");
        let withheld = withheld(&entry);
        let known = [&entry.always_scopes, &SCOPES.map(str::to_owned).to_vec()].map(Clone::clone).concat();
        let clients = Clients {
            ids: (0..CLIENTS).map(client_id).collect(),
            secret: CLIENT_SECRET.to_owned(),
            redirect_uri: CALLBACK.to_owned(),
        };
        let options = Options {
            clients,
            granted_scopes: known.into_iter().filter(|scope| Some(scope) != withheld.as_ref()).collect(),
            access_token_lifetime: Duration::from_secs(LIFETIME),
            now: NOW,
        };
        let emulator = Emulator::start(Rules::new(&entry, &SCOPES), options).await;
        Self { emulator, entry, display_name: provider.entry.display_name.clone() }
    }

    /// The entry's URLs at the sandbox; and the hosts that only an operator can name.
    fn moved_urls(&self) -> Table {
        let OAuth { authorize_url, token_url, refresh_url, identity, revoke, inputs, .. } = &self.entry;
        let OAuth { long_lived, introspect, .. } = &self.entry;
        let moved = |url| toml::Value::from(self.emulator.url(url));
        let section = |url| Table::from_iter([("url".to_owned(), moved(url))]);
        let mut table = Table::from_iter([
            ("authorize_url".to_owned(), moved(authorize_url)),
            ("token_url".to_owned(), moved(token_url)),
        ]);
        table.extend(refresh_url.as_ref().map(|url| ("refresh_url".to_owned(), moved(url))));
        table.extend(identity.as_ref().map(|how| ("identity".to_owned(), section(&how.url).into())));
        table.extend(revoke.as_ref().map(|how| ("revoke".to_owned(), section(&how.url).into())));
        table.extend(long_lived.as_ref().map(|how| ("long_lived".to_owned(), section(&how.url).into())));
        table.extend(introspect.as_ref().map(|how| ("introspect".to_owned(), section(&how.url).into())));
        let open = inputs.iter().filter(|(_, input)| input.hosts.as_ref().is_some_and(Vec::is_empty));
        let named = open.map(|(name, input)| {
            let hosts = toml::Value::from(vec![input.example.clone()]);
            (name.clone(), Table::from_iter([("hosts".to_owned(), hosts)]).into())
        });
        let named: Table = named.collect();
        if !named.is_empty() {
            table.insert("inputs".to_owned(), named.into());
        }
        table
    }
}

/// The scopes that are asked for.
pub fn asked(entry: &OAuth) -> Vec<String> {
    let own = if entry.fixed_scopes { &[] } else { &SCOPES[..] };
    own.iter().map(|scope| (*scope).to_owned()).chain(entry.always_scopes.iter().cloned()).collect()
}

/// The one that is not granted.
pub fn withheld(entry: &OAuth) -> Option<String> {
    if !entry.fixed_scopes {
        return Some(SCOPES[1].to_owned());
    }
    entry.always_scopes.iter().rev().find(|scope| !NAMELESS.contains(&scope.as_str())).cloned()
}

/// The ways in which the entry says that a refresh token is refused, each with its word.
fn refusals(entry: &OAuth) -> Vec<(String, Refusal)> {
    let Some(how) = &entry.refresh else { return Vec::new() };
    let body = |body| Refusal { status: 400, body: Some(body) };
    let errors = how.refused_errors.iter().map(|code| (code.clone(), body(json!({ "error": code }))));
    let message = |text| json!({ "error": "invalid_request", "error_description": format!("Sorry. {text} (7)") });
    let messages = how.refused_messages.iter().map(|text| (text.clone(), body(message(text))));
    let statuses =
        how.refused_statuses.iter().map(|status| (status.to_string(), Refusal { status: *status, body: None }));
    errors.chain(messages).chain(statuses).collect()
}

/// Unexpected result of a step.
fn expect<T: PartialEq + std::fmt::Debug>(what: &str, seen: &T, wanted: &T) -> Result<(), String> {
    if seen == wanted { Ok(()) } else { Err(format!("{what}: {seen:?} in place of {wanted:?}")) }
}

impl Trial {
    /// The whole life of an account; `Err` says what went wrong first.
    pub async fn run(&self, server: &Server) -> Result<(), String> {
        let login_url = self.initiate(server).await?;
        let callback = self.approve(&login_url, &self.provider).await?;
        let completed = self.complete(server, callback).await?;
        let id = completed["credentials_id"].as_str().ok_or("no id")?.to_owned();
        self.check_completed(&completed)?;
        let account = self.part.entry.identity.as_ref().and_then(|how| how.account.as_ref());
        self.live_and_end(server, &id, account).await?;
        for (name, how) in &self.part.entry.further_tokens {
            let further = completed["further_credentials"].as_array().into_iter().flatten();
            let further = further.into_iter().find(|one| one["name"] == **name);
            let further = further.ok_or_else(|| format!("no credential of the further token {name}"))?;
            expect("further scopes", &further["scopes"], &json!([SCOPES[0]]))?;
            expect("further missing_scopes", &further["missing_scopes"], &json!([SCOPES[1]]))?;
            expect("further username", &further["username"], &completed["username"])?;
            let id = further["credentials_id"].as_str().ok_or("no further id")?;
            self.live_and_end(server, id, how.account.as_ref().or(account)).await?;
        }
        let entry = &self.part.entry;
        let left = if entry.revoke.is_some() { 0 } else { 1 + entry.further_tokens.len() };
        expect("grants that live on", &self.part.emulator.live_grants_of(&self.provider), &left)?;
        for (number, (word, refusal)) in refusals(entry).into_iter().enumerate().filter(|_| self.refuses) {
            let user = format!("{}-refused-{number}", self.provider);
            self.refused(server, &user, refusal).await.map_err(|why| format!("{word}: {why}"))?;
        }
        Ok(())
    }

    /// Connects an account whose refresh the provider refuses: its user must connect it again.
    async fn refused(&self, server: &Server, user: &str, refusal: Refusal) -> Result<(), String> {
        let login_url = self.initiate(server).await?;
        let callback = self.approve(&login_url, user).await?;
        let completed = self.complete(server, callback).await?;
        self.part.emulator.refuse_refreshes(user, refusal);
        let id = completed["credentials_id"].as_str().ok_or("no id")?;
        let path = format!("/v1/integrations/{}/credentials/{id}", self.provider);
        server.post(&format!("{path}/refresh")).key(&server.key).send().await;
        let shown = server.get(&path).key(&server.key).send().await.json();
        expect("status after a refused refresh", &shown["status"], &json!("needs_reauth"))
    }

    /// Checks the stored token before and after a refresh, then deletes its credential.
    async fn live_and_end(&self, server: &Server, id: &str, account: Option<&JsonPointer>) -> Result<(), String> {
        self.check_stored(server, id, account).await?;
        self.refresh(server, id).await?;
        self.check_stored(server, id, account).await?;
        self.delete(server, id).await
    }

    async fn post(&self, server: &Server, path: &str, body: &Value) -> Result<Value, String> {
        let path = format!("/v1/integrations/{}/{path}", self.provider);
        let reply = server.post(&path).key(&server.key).json(body).send().await;
        if reply.status == 200 { Ok(reply.json()) } else { Err(format!("{path}: {} {}", reply.status, reply.text())) }
    }

    async fn initiate(&self, server: &Server) -> Result<String, String> {
        let inputs = self.part.emulator.rules().caller_inputs();
        let further: BTreeMap<_, _> = self.part.entry.further_tokens.keys().map(|name| (name, SCOPES)).collect();
        let body = json!({ "callback_url": CALLBACK, "scopes": SCOPES, "inputs": inputs, "further_scopes": further });
        let started = self.post(server, "oauth/initiate", &body).await?;
        Ok(started["login_url"].as_str().ok_or("no login_url")?.to_owned())
    }

    /// The user approves; gives the callback's parameters.
    async fn approve(&self, login_url: &str, user: &str) -> Result<BTreeMap<String, String>, String> {
        let url = format!("{login_url}&emulator_user={user}");
        let reply = Ask::new(Method::GET, url).send().await;
        let target = reply.header("Location").filter(|_| reply.status == 303);
        let target = target.ok_or_else(|| format!("authorize: {} {}", reply.status, reply.text()))?;
        let target = url::Url::parse(target).map_err(|error| error.to_string())?;
        Ok(target.query_pairs().into_owned().collect())
    }

    async fn complete(&self, server: &Server, mut callback: BTreeMap<String, String>) -> Result<Value, String> {
        if let Some(error) = callback.get("error") {
            return Err(format!("authorize: {error}: {:?}", callback.get("error_description")));
        }
        let state = callback.remove("state").ok_or("no state at the callback")?;
        let code = match &self.part.entry.code_param {
            // An application that does not know the provider's own name for it sends everything on.
            Some(_) => String::new(),
            None => callback.remove("code").ok_or("no code at the callback")?,
        };
        let body = json!({ "code": code, "state_token": state, "callback_params": callback });
        self.post(server, "oauth/complete", &body).await
    }

    /// The name, the title and the scopes are the ones that the provider told.
    fn check_completed(&self, completed: &Value) -> Result<(), String> {
        let entry = &self.part.entry;
        let told = |pointer: &strongroom::catalog::value::JsonPointer| {
            self.part.emulator.rules().account_value(&self.provider, pointer.as_str())
        };
        let identity = entry.identity.as_ref();
        let username = identity.and_then(|how| how.username.as_ref()).map(told);
        let title = identity.and_then(|how| how.title.as_ref()).map(told).or_else(|| username.clone());
        expect("username", &completed["username"], &json!(username))?;
        expect("title", &completed["title"], &json!(title.unwrap_or_else(|| self.part.display_name.clone())))?;
        let bare = |scope: &str| {
            let prefix = entry.scope_prefix.as_deref().unwrap_or("");
            scope.strip_prefix(prefix).unwrap_or(scope).to_owned()
        };
        let texts = |list: &Value| -> BTreeSet<String> {
            list.as_array().into_iter().flatten().filter_map(Value::as_str).map(bare).collect()
        };
        let withheld: BTreeSet<String> = withheld(entry).iter().map(|scope| bare(scope)).collect();
        let granted = asked(entry).iter().map(|scope| bare(scope)).filter(|scope| !withheld.contains(scope)).collect();
        expect("scopes", &texts(&completed["scopes"]), &granted)?;
        expect("missing_scopes", &texts(&completed["missing_scopes"]), &withheld)
    }

    /// The expiry, the token's use, and what is kept of callback and answer.
    async fn check_stored(&self, server: &Server, id: &str, account: Option<&JsonPointer>) -> Result<(), String> {
        let entry = &self.part.entry;
        let user: UserId = "alice".parse().expect("a user id");
        let id: CredentialId = id.parse().map_err(|_| "no credential id")?;
        let stored = server
            .vault
            .credentials()
            .read_secret(&user, &id, &AuditContext::command_line())
            .await
            .map_err(|error| error.to_string())?;
        let Some((summary, CredentialSecret::OAuth2(tokens))) = stored else {
            return Err("nothing is stored".to_owned());
        };
        let account = account.map(|pointer| self.part.emulator.rules().account_value(&self.provider, pointer.as_str()));
        expect("account", &summary.account, &account)?;
        expect("expires_at", &summary.expires_at, &self.lifetime().map(|lifetime| NOW.plus(lifetime)))?;
        let scheme =
            entry.token_type.as_deref().filter(|word| !word.eq_ignore_ascii_case("bearer")).unwrap_or("Bearer");
        expect("token_type", &tokens.token_type.as_str(), &scheme)?;
        expect("refresh_token", &tokens.refresh_token.is_some(), &true)?;
        let refresh = entry.refresh.as_ref();
        let told = refresh.and_then(|how| how.lifetime_member.as_ref()).map(|_| Rules::REFRESH_LIFETIME);
        let known = refresh.and_then(|how| how.lifetime).and_then(Lifetime::duration);
        let ends = told.or(known).map(|lifetime| NOW.plus(lifetime));
        expect("refresh_expires_at", &tokens.refresh_expires_at, &ends)?;
        self.check_metadata(&tokens)
    }

    fn lifetime(&self) -> Option<Duration> {
        let entry = &self.part.entry;
        let told = entry.expires_in_member != "expires_in" || entry.expires_in_unit != ExpiryUnit::Seconds;
        match entry.expires_in {
            Some(known) if !told => Lifetime::duration(known),
            _ => Some(Duration::from_secs(LIFETIME)),
        }
    }

    fn check_metadata(&self, tokens: &Tokens) -> Result<(), String> {
        let (entry, says) = (&self.part.entry, |name: &String| json!(self.part.emulator.rules().member_value(name)));
        // What the answer has under this name for another reason is not the sandbox's own word, but it is kept.
        for name in &entry.token_metadata {
            expect(name, &tokens.metadata.contains_key(name), &true)?;
        }
        for name in &entry.callback_metadata {
            let kept = tokens.metadata.get("callback").map_or(&Value::Null, |kept| &kept[name]);
            expect(name, kept, &says(name))?;
        }
        for name in entry.inputs.keys() {
            let kept = tokens.metadata.get("inputs").map_or(&Value::Null, |kept| &kept[name]);
            expect(name, &kept.is_string(), &true)?;
        }
        Ok(())
    }

    /// A refresh that is asked for, and a token that can be used at once.
    async fn refresh(&self, server: &Server, id: &str) -> Result<(), String> {
        let path = format!("/v1/integrations/{}/credentials/{id}", self.provider);
        let before = self.live(server, &path).await?;
        let reply = server.post(&format!("{path}/refresh")).key(&server.key).send().await;
        if reply.status != 200 {
            return Err(format!("refresh: {} {}", reply.status, reply.text()));
        }
        let after = self.live(server, &path).await?;
        expect("that it is another token", &(before != after), &true)
    }

    /// The access token, which no refresh was needed for.
    async fn live(&self, server: &Server, path: &str) -> Result<String, String> {
        let reply = server.get(&format!("{path}/token")).key(&server.key).send().await;
        let token = reply.json()["access_token"].as_str().map(str::to_owned);
        token.ok_or_else(|| format!("token: {} {}", reply.status, reply.text()))
    }

    /// The credential goes, and with it what hangs on it at the provider.
    async fn delete(&self, server: &Server, id: &str) -> Result<(), String> {
        let path = format!("/v1/integrations/{}/credentials/{id}", self.provider);
        let reply = server.delete(&path).key(&server.key).send().await;
        expect("delete", &reply.status, &200)?;
        let revokes = self.part.entry.revoke.is_some();
        expect("revoked", &reply.json()["revoked"], &if revokes { json!(true) } else { Value::Null })
    }
}
