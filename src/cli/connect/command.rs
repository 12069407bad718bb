//! `strongroom connect`: an account is connected from a terminal, in a browser that comes back to a loopback port
//! (RFC 8252 §7.3).

use crate::cli::arguments;
use crate::cli::provider::lookup;
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use clap::Args;

use super::browser;
use super::callback_page::Outcome;
use super::loopback::{Answering, Login, Loopback, Parameters};
use crate::broker::{Broker, Caller, CompleteRequest, CompleteResponse, ConnectRequest, Error, callback_path};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, note, plain};
use crate::cli::runtime::{block_on, signals};
use crate::duration;
use crate::id::{CredentialId, UserId};
use crate::random::Random;
use crate::secret::Secret;
use crate::vault::AuditContext;

/// Connect an account at a provider, in the browser of this machine; prints the credential's id
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(in crate::cli) struct Connect {
    /// The provider's name
    pub(in crate::cli) provider: String,
    /// Whose credential it is to be [default: the one user that there is]
    #[arg(long)]
    user: Option<UserId>,
    /// A scope to ask for; may be repeated [default: the provider's default scopes]
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(in crate::cli) scopes: Vec<String>,
    /// A scope of a further token that the provider gives beside the first; may be repeated: user=search:read
    #[arg(long = "further-scope", value_name = "TOKEN=SCOPE", value_parser = arguments::named_value)]
    further_scopes: Vec<(String, String)>,
    /// A value that the provider's URLs depend on; may be repeated. `strongroom provider show` names them
    #[arg(long = "input", value_name = "NAME=VALUE", value_parser = arguments::named_value)]
    pub(in crate::cli) inputs: Vec<(String, String)>,
    /// Connect this credential again: it keeps its id
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) credential: Option<CredentialId>,
    /// Where the login is into another account than that credential's: take it nevertheless
    #[arg(long, requires = "credential")]
    pub(in crate::cli) any_account: bool,
    /// The port for the callback, where the provider wants the whole redirect URI to be registered [default: a free one]
    #[arg(long)]
    port: Option<u16>,
    /// Log in on another device, with a short code, where the provider offers that (RFC 8628)
    #[arg(long, conflicts_with_all = ["port", "no_browser"])]
    device: bool,
    /// Do not open a browser; the login URL is shown in any case
    #[arg(long)]
    no_browser: bool,
    /// How long to wait for the browser to come back [default: oauth.state_ttl, 10m]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub(in crate::cli) timeout: Option<Duration>,
    /// The whole answer as JSON: {credentials_id, provider, type, title, scopes, username, …}
    #[arg(long)]
    json: bool,
}

impl Connect {
    /// Runs the command.
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let broker = context.broker()?;
        lookup::found(broker.catalog(), &self.provider)?;
        let caller = Caller { user: self.user(&broker)?, who: AuditContext::command_line() };
        let completed = if self.device {
            block_on(self.on_device(&broker, &caller))??
        } else {
            block_on(self.in_browser(&broker, &caller))??
        };
        note(sentence(&completed));
        if self.json { out.json(&completed) } else { out.line(completed.credentials_id.to_string()) }
    }

    /// Who was named; else the only user that there is.
    fn user(&self, broker: &Broker) -> Result<UserId, Failure> {
        if let Some(user) = &self.user {
            return Ok(user.clone());
        }
        let users = broker.vault().users()?;
        match &users[..] {
            [only] => Ok(only.id.clone()),
            [] => {
                Err(Failure::configuration("there is no user yet").advise("say whose credential it is: --user alice"))
            }
            _ => Err(Failure::configuration(format!("there are {} users", users.len()))
                .advise("say whose credential it is to be, with --user")),
        }
    }

    pub(in crate::cli) fn further_scopes(&self) -> BTreeMap<String, Vec<String>> {
        let mut by_name = BTreeMap::<String, Vec<String>>::new();
        for (name, scope) in &self.further_scopes {
            by_name.entry(name.clone()).or_default().push(scope.clone());
        }
        by_name
    }

    async fn in_browser(&self, broker: &Broker, caller: &Caller) -> Result<CompleteResponse, Failure> {
        let interrupted = signals().map_err(|error| Failure::new(format!("cannot wait for signals: {error}")))?;
        let within = self.timeout.unwrap_or(broker.config().oauth.state_ttl);
        let loopback = Loopback::bind(self.port.unwrap_or(0)).await.map_err(|error| self.no_port(&error))?;
        let listening = loopback.address();
        let request = ConnectRequest {
            listening,
            scopes: self.scopes.clone(),
            further_scopes: self.further_scopes(),
            inputs: self.inputs.iter().cloned().collect(),
            credential_id: self.credential.map(|id| id.to_string()),
            allow_account_change: self.any_account,
            within,
        };
        let begun =
            broker.begin_connect(caller, &self.provider, request).await.map_err(|error| self.explained(error))?;
        let state = Secret::new(begun.state_token);
        let callback_path = callback_path(&self.provider);
        note(format!("Redirect URI: http://{listening}{callback_path}"));
        note(format!("Log in at:\n\n  {}\n", begun.login_url));
        let login = Login { callback_path, authorization_url: begun.login_url, state: state.clone() };
        let mut answering = loopback.answer(login, Random);
        self.show_browser(&answering);

        let gone = tokio::select! {
            parameters = answering.callback() => {
                return self.finish(broker, caller, state, parameters, answering).await;
            }
            () = tokio::time::sleep(within) => {
                Failure::new(format!("the browser did not come back within {}", duration::show(within)))
                    .advise("run it again; --timeout waits longer")
            }
            () = interrupted => Failure::new("interrupted; nothing was connected"),
        };
        broker.abandon_connect(caller, &self.provider, &state).await?;
        Err(gone)
    }

    fn show_browser(&self, answering: &Answering) {
        if self.no_browser {
            note("Waiting for the browser to come back …");
        } else if browser::open(&answering.start_url) {
            note("Opened it in your browser; waiting for it to come back …");
        } else {
            note("No browser was found here; open it in one on this machine. Waiting for it to come back …");
        }
    }

    /// The browser came back: from here on nothing interrupts, for the code works once.
    async fn finish(
        &self,
        broker: &Broker,
        caller: &Caller,
        state_token: Secret,
        mut parameters: Parameters,
        answering: Answering,
    ) -> Result<CompleteResponse, Failure> {
        note(format!("The browser came back; asking {} for the tokens …", self.provider));
        let code = parameters.remove("code");
        let exposed = |(name, value): (String, Secret)| (name, value.expose().to_owned());
        let params: BTreeMap<String, String> = parameters.into_iter().map(exposed).collect();
        let request = CompleteRequest { code, state_token, callback_params: Some(params) };
        let finished = broker.finish_connect(caller, &self.provider, request).await;
        let finished = finished.map_err(|error| self.explained(error));
        let (connected, text) = match &finished {
            Ok(completed) => (true, sentence(completed)),
            Err(failure) => (false, failure.parts().0.to_owned()),
        };
        answering.end(Outcome { connected, text }).await;
        finished
    }

    /// What the broker refused, in the words of somebody at a terminal.
    pub(in crate::cli) fn explained(&self, error: Error) -> Failure {
        let name = &self.provider;
        match error {
            Error::NoOAuth(_) => Failure::new(format!("{name} has no OAuth; its accounts are not connected")).advise(
                format!("`strongroom credential add {name}` stores a key; `provider show {name}` has the kinds"),
            ),
            Error::NotConfigured(_) => Failure::configuration(format!("our client at {name} is not configured"))
                .advise(format!("`strongroom provider check {name}` says what to write")),
            Error::Inputs(faults) => {
                let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
                Failure::configuration(said.join("; ")).advise("give each with --input NAME=VALUE")
            }
            Error::StateInvalid => {
                Failure::new("the answer is not that of the server that was asked, or it came too late")
                    .advise("run it again; if it stays so, do not log in there")
            }
            Error::AuthorizationDenied(said) => Failure::new(format!("{name} refused: {}", plain(&said))),
            Error::ExchangeRefused(said) => Failure::new(format!("{name} gave no tokens: {}", plain(&said))).advise(
                format!("is the redirect URI above registered there? `strongroom provider show {name}` names the page"),
            ),
            Error::ProviderFailed(said) | Error::ProviderTooSlow(said) => {
                Failure::new(format!("{name} gave no tokens: {}", plain(&said))).advise("run it again")
            }
            Error::NoDeviceFlow(said) => {
                Failure::new(said).advise("leave out --device: a browser on this machine will do")
            }
            Error::GrantRefused(said) | Error::GrantFailed(said) | Error::GrantTooSlow(said) => {
                Failure::new(format!("{name} gave no tokens: {}", plain(&said)))
            }
            error @ Error::OtherAccount(_) => {
                Failure::new(error.to_string()).advise("log in as the right one, or add --any-account")
            }
            other => other.into(),
        }
    }

    fn no_port(&self, error: &io::Error) -> Failure {
        Failure::new(format!("port {} on 127.0.0.1 cannot be listened on: {error}", self.port.unwrap_or(0)))
            .advise("take another one with --port, or none for any that is free")
    }
}

/// Who is connected, in one line.
fn sentence(completed: &CompleteResponse) -> String {
    let account = match &completed.username {
        Some(username) if *username != completed.title => format!("{} ({username})", completed.title),
        _ => completed.title.clone(),
    };
    let scopes =
        if completed.scopes.is_empty() { "none that it names".to_owned() } else { completed.scopes.join(", ") };
    let missing = match completed.missing_scopes.join(", ") {
        none if none.is_empty() => String::new(),
        missing => format!("; not granted: {missing}"),
    };
    let beside = completed
        .further_credentials
        .iter()
        .map(|one| format!(" Beside it {}: {}, with {}.", one.name, one.credentials_id, one.scopes.join(", ")));
    let beside: String = beside.collect();
    plain(&format!("Connected {} at {}. Scopes: {scopes}{missing}.{beside}", account, completed.provider))
}
