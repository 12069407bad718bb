//! `strongroom connect`: connects an account from a terminal, with a browser and a loopback
//! callback (RFC 8252 §7.3).

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use clap::Args;
use tokio::net::TcpListener;

use super::authorization_response::AuthorizationResponse;
use super::browser;
use super::callback_page::LoginResult;
use super::loopback::{Answering, Login};
use super::paste::pasted_address;
use crate::broker::{
    AuditContext, Broker, Caller, CompleteRequest, CompleteResponse, DeviceInitiateRequest, Error, callback_path,
};
use crate::cli::arguments;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::names::{check_inputs, hint_new_user};
use crate::cli::output::{Output, note};
use crate::cli::runtime::{block_on, signals};
use crate::duration;
use crate::id::{CredentialId, UserId};
use crate::secret::Secret;
use crate::visible::plain;

/// Ports of the callback that are tried before any other. RFC 8252 §7.3 lets the port vary, but many
/// MCP servers compare it: with the same port, one registration serves all logins there.
const PORTS: [u16; 3] = [18484, 18485, 18486];

/// Connect an account at a provider; prints the credential's id
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(in crate::cli) struct Connect {
    /// Provider, as `strongroom provider list` shows it
    pub(in crate::cli) provider: String,
    /// User that gets the credential [default: the only user]
    #[arg(long, allow_hyphen_values = true)]
    user: Option<UserId>,
    /// Scope to request; may be repeated [default: the provider's default scopes]
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Scope of an additional token, for example user=search:read; may be repeated
    #[arg(long = "further-scope", value_name = "TOKEN=SCOPE", value_parser = arguments::named_value)]
    further_scopes: Vec<(String, String)>,
    /// Value for the provider's URLs; may be repeated. `strongroom provider show` lists them
    #[arg(long = "input", value_name = "NAME=VALUE", value_parser = arguments::named_value)]
    inputs: Vec<(String, String)>,
    /// Reconnect this credential; it keeps its id
    #[arg(long, value_name = "ID")]
    credential: Option<CredentialId>,
    /// Accept a login to another account than the credential's
    #[arg(long, requires = "credential")]
    any_account: bool,
    /// Never give the tokens out: requests can be sent with them through the proxy only
    #[arg(long)]
    no_export: bool,
    /// Port of the callback, if the provider compares the whole redirect URI [default: 18484 if it is
    /// free]
    #[arg(long)]
    port: Option<u16>,
    /// Log in on another device with a short code, if the provider offers it (RFC 8628)
    #[arg(long, conflicts_with_all = ["port", "no_browser", "paste"])]
    device: bool,
    /// Use a browser on another machine: open the login URL there, log in, and paste the address of
    /// the page at which the login ends. The browser cannot show that page
    #[arg(long)]
    paste: bool,
    /// Do not open a browser; the login URL is always printed
    #[arg(long)]
    no_browser: bool,
    /// Time to wait for the browser [default: oauth.state_ttl, 10m]
    #[arg(long, value_name = "DURATION", value_parser = arguments::wait)]
    pub(in crate::cli) timeout: Option<Duration>,
    /// Print JSON: {credentials_id, provider, type, title, scopes, username, …}
    #[arg(long)]
    json: bool,
}

impl Connect {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let broker = context.broker()?;
        check_inputs(&self.provider, &broker.provider(&self.provider)?.entry.caller_inputs(), &self.inputs)?;
        let caller = Caller::command_line(self.user(&broker)?);
        hint_new_user(&broker.admin(AuditContext::command_line()), &caller.user)?;
        let completed = if self.device {
            block_on(self.on_device(&broker, &caller))??
        } else {
            block_on(self.in_browser(&broker, &caller))??
        };
        note(sentence(&completed));
        if self.json { out.json(&completed) } else { out.line(completed.credentials_id.to_string()) }
    }

    /// Returns the named user, or the only user.
    fn user(&self, broker: &Broker) -> Result<UserId, Failure> {
        if let Some(user) = &self.user {
            return Ok(user.clone());
        }
        let users = broker.admin(AuditContext::command_line()).users()?;
        match &users[..] {
            [only] => Ok(only.id.clone()),
            [] => Err(Failure::configuration("there is no user yet")
                .advise("name the user with --user, for example --user alice")),
            _ => {
                Err(Failure::configuration(format!("there are {} users", users.len()))
                    .advise("name the user with --user"))
            }
        }
    }

    /// Returns the parameters of the login.
    pub(in crate::cli) fn request(&self) -> DeviceInitiateRequest {
        let mut further_scopes = BTreeMap::<String, Vec<String>>::new();
        for (name, scope) in &self.further_scopes {
            further_scopes.entry(name.clone()).or_default().push(scope.clone());
        }
        DeviceInitiateRequest {
            scopes: self.scopes.clone(),
            further_scopes,
            state_metadata: serde_json::Map::new(),
            inputs: self.inputs.iter().cloned().collect(),
            credential_id: self.credential.map(|id| id.to_string()),
            allow_account_change: self.any_account,
            exportable: self.no_export.then_some(false),
        }
    }

    async fn in_browser(&self, broker: &Broker, caller: &Caller) -> Result<CompleteResponse, Failure> {
        let interrupted = signals()?;
        let within = self.timeout.unwrap_or(broker.config().oauth.state_ttl);
        let no_port = |error| self.no_port(&error);
        let listener = listen(self.port, PORTS).await.map_err(no_port)?;
        let listening = listener.local_addr().map_err(no_port)?;
        let begun = broker.begin_connect(caller, &self.provider, (listening, within), self.request()).await;
        let begun = begun.map_err(|error| self.explained(error))?;
        let state = Secret::new(begun.state_token);
        let callback_path = callback_path(&self.provider);
        let redirect_uri = format!("http://{listening}{callback_path}");
        note(format!("Redirect URI: {redirect_uri}"));
        note(format!("Log in at:\n\n  {}\n", begun.login_url));
        let login = Login { callback_path, authorization_url: begun.login_url, state: state.clone() };
        let mut answering = Answering::start(listener, login).map_err(no_port)?;
        self.show_browser(&answering);

        let pasted = async {
            if self.paste { pasted_address(&redirect_uri, &state).await } else { std::future::pending().await }
        };
        let failure = tokio::select! {
            response = answering.response() => {
                return self.finish(broker, caller, state, response, Some(answering)).await;
            }
            pasted = pasted => match pasted {
                Ok(response) => return self.finish(broker, caller, state, response, None).await,
                Err(failure) => failure,
            },
            () = tokio::time::sleep(within) => {
                Failure::new(format!("no callback within {}", duration::show(within)))
                    .advise("run the command again; --timeout sets a longer wait")
            }
            () = interrupted => Failure::new("interrupted; no account was connected"),
        };
        broker.abandon_connect(caller, &self.provider, &state).await?;
        Err(failure)
    }

    fn show_browser(&self, answering: &Answering) {
        if self.paste {
            note("Open the URL in any browser and log in. Paste the address of the page at which the login ends:");
        } else if self.no_browser {
            note("Waiting for the login …");
        } else if browser::open(&answering.start_url) {
            note("Opened the browser. Waiting for the login …");
        } else {
            note("No browser found. Open the URL in a browser on this machine. Waiting for the login …");
        }
    }

    /// Completes the login, and shows the result in the browser. It is not interruptible, because
    /// the code works only once.
    async fn finish(
        &self,
        broker: &Broker,
        caller: &Caller,
        state_token: Secret,
        response: AuthorizationResponse,
        answering: Option<Answering>,
    ) -> Result<CompleteResponse, Failure> {
        let exposed = |(name, value): (String, Secret)| (name, value.expose().to_owned());
        let mut parameters = match response {
            AuthorizationResponse::Callback(parameters) => parameters,
            AuthorizationResponse::Denial(parameters) => {
                let params = parameters.into_iter().map(exposed).collect();
                let denied = broker.deny_connect(caller, &self.provider, &state_token, &params).await;
                return Err(self.explained(denied));
            }
        };
        note(format!("Received the callback. Requesting tokens from {} …", self.provider));
        let code = parameters.remove("code");
        let params: BTreeMap<String, String> = parameters.into_iter().map(exposed).collect();
        let request = CompleteRequest { code, state_token, callback_params: Some(params) };
        let finished = broker.finish_connect(caller, &self.provider, request).await;
        let finished = finished.map_err(|error| self.explained(error));
        if let Some(answering) = answering {
            let (connected, text) = match &finished {
                Ok(completed) => (true, sentence(completed)),
                Err(failure) => (false, failure.parts().0.to_owned()),
            };
            answering.end(LoginResult { connected, text }).await;
        }
        finished
    }

    /// Turns an error of the broker into advice for the command line.
    pub(in crate::cli) fn explained(&self, error: Error) -> Failure {
        let name = &self.provider;
        match error {
            Error::NoOAuth(_) => Failure::new(format!("{name} does not support OAuth")).advise(format!(
                "`strongroom credential add {name}` stores a key; `strongroom provider show {name}` lists the kinds"
            )),
            Error::NotConfigured(_) => Failure::configuration(format!("no OAuth client is configured for {name}"))
                .advise(format!("`strongroom provider check {name}` says what to set")),
            Error::Inputs(faults) => {
                let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
                Failure::configuration(said.join("; ")).advise("give each value with --input NAME=VALUE")
            }
            Error::StateInvalid(_) => Failure::new("the callback came too late, or from another authorization server")
                .advise("run the command again; if it happens again, do not log in there"),
            Error::AuthorizationDenied(said) => Failure::new(format!("{name} denied the login: {}", plain(&said))),
            Error::ExchangeRefused(said) => {
                Failure::new(format!("{name} issued no tokens: {}", plain(&said))).advise(format!(
                    "check that the redirect URI above is registered; `strongroom provider show {name}` names the page"
                ))
            }
            Error::ProviderFailed(said) | Error::ProviderTooSlow(said) => {
                Failure::new(format!("{name} issued no tokens: {}", plain(&said))).advise("run the command again")
            }
            Error::NoDeviceFlow(said) => {
                Failure::new(said).advise("leave out --device to use a browser on this machine")
            }
            Error::GrantRefused(said) | Error::GrantFailed(said) | Error::GrantTooSlow(said) => {
                Failure::new(format!("{name}: {}", plain(&said)))
            }
            error @ Error::OtherAccount(_) => {
                Failure::new(error.to_string()).advise("log in to the credential's account, or add --any-account")
            }
            Error::OtherServer => Failure::new("the login was at another server than the one of this credential")
                .advise(
                    "leave out the input server_url to reconnect the credential's own server, or add --any-account",
                ),
            other => other.into(),
        }
    }

    fn no_port(&self, error: &io::Error) -> Failure {
        Failure::new(format!("cannot listen on port {} of 127.0.0.1: {error}", self.port.unwrap_or(0)))
            .advise("give another --port, or none to take a free one")
    }
}

/// Describes the connected account in one line.
fn sentence(completed: &CompleteResponse) -> String {
    let account = match &completed.username {
        Some(username) if *username != completed.title => format!("{} ({username})", completed.title),
        _ => completed.title.clone(),
    };
    let scopes = if completed.scopes.is_empty() { "none reported".to_owned() } else { completed.scopes.join(", ") };
    let missing = match completed.missing_scopes.join(", ") {
        none if none.is_empty() => String::new(),
        missing => format!("; not granted: {missing}"),
    };
    let beside = completed
        .further_credentials
        .iter()
        .map(|one| format!(" Also connected {}: {}, with {}.", one.name, one.credentials_id, one.scopes.join(", ")));
    let beside: String = beside.collect();
    plain(&format!("Connected {} at {}. Scopes: {scopes}{missing}.{beside}", account, completed.provider))
}

/// Listens for the callback on `port`, or else on the first free one of `usual`, or on any.
async fn listen(port: Option<u16>, usual: [u16; 3]) -> io::Result<TcpListener> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    if let Some(port) = port {
        return bind(port).await;
    }
    for port in usual {
        if let Ok(listener) = bind(port).await {
            return Ok(listener);
        }
    }
    bind(0).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An MCP server that compares the port keeps one registration.
    #[tokio::test]
    async fn callback_port_is_the_first_free_one_of_three() {
        let bound = async || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let held = [bound().await, bound().await, bound().await];
        let ports = [0, 1, 2].map(|index: usize| held[index].local_addr().unwrap().port());
        let port_of = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let [first, second, third] = held;
        assert!(!ports.contains(&port_of(&listen(None, ports).await.unwrap())), "all three are taken");
        assert!(listen(Some(ports[0]), ports).await.is_err(), "a port that was asked for is the only one");
        drop(third);
        drop(second);
        assert_eq!(port_of(&listen(None, ports).await.unwrap()), ports[1]);
        drop(first);
        assert_eq!(port_of(&listen(None, ports).await.unwrap()), ports[0]);
    }
}
