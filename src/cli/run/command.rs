//! The options of `strongroom run`, and its steps.

use std::ffi::OsString;
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::bundle::Bundles;
use super::child::Signals;
use super::environment::ChildEnvironment;
use super::key::{self, MadeKey};
use super::relay::{Relay, RelayState};
use super::server::{Destinations, Server, UsableCredential, reachable, url_of};
use super::tunnel::{ForwardProxy, Tunnels, forward_proxy};
use super::{check, child, node};
use crate::broker::Installation;
use crate::cli::arguments;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, note};
use crate::cli::runtime;
use crate::clock::UnixTime;
use crate::config::{ClientSecrets, Config, Environment, Listen};
use crate::id::{CredentialId, UserId};
use crate::secret::Secret;

/// Run a command that uses credentials without seeing them
///
/// The command gets placeholders and the URLs of a relay on this machine. The relay adds an API key
/// that can send requests with a credential, and the running server adds the secret.
///
/// The key is that of --key-file or of STRONGROOM_API_KEY. Without one, a key is made in the vault of
/// this machine, and revoked when the command ends.
///
/// This is not a sandbox: the command runs as your user. If your user can open the vault, so can the
/// command. The exit code is that of the command; 128 and the number of the signal that ended it.
#[derive(Debug, Args)]
#[command(override_usage = "strongroom run [OPTIONS] -- <CMD>...\n       strongroom run [OPTIONS] --check")]
pub(in crate::cli) struct Run {
    /// User whose credentials are used [default: the user of the key; without a key, the only user]
    #[arg(long, allow_hyphen_values = true)]
    user: Option<UserId>,
    /// Credential that the command may use; may be repeated. The first one of a provider sets its
    /// variables [default: all]
    #[arg(long = "credential", value_name = "ID")]
    credentials: Vec<CredentialId>,
    /// File with an API key that has PROXY_INTEGRATIONS, and not USE_INTEGRATIONS
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Lifetime of a key that is made for the command
    #[arg(long, value_name = "DURATION", default_value = "12h", value_parser = arguments::lifetime)]
    expires: UnixTime,
    /// URL of the server, with its base path [default: that of the configuration]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Address of the server's forward proxy, for requests to the hosts of credentials [default:
    /// proxy.listen of the configuration, unless --server is given]
    #[arg(long, value_name = "HOST:PORT", value_parser = forward_proxy)]
    forward_proxy: Option<String>,
    /// Put a token into the URLs of the relay. This is always on where the relay cannot see the owner
    /// of a connection
    #[arg(long)]
    proxy_auth: bool,
    /// Show which of the tools on PATH send their requests through the relay
    #[arg(long, conflicts_with = "command")]
    check: bool,
    /// Command and its arguments
    #[arg(last = true, value_name = "CMD", required_unless_present = "check")]
    command: Vec<OsString>,
}

/// All that the command needs.
struct Ready {
    relay: Arc<RelayState>,
    environment: ChildEnvironment,
    /// Files that the environment names.
    _certificates: Option<Bundles>,
}

impl Run {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<ExitCode, Failure> {
        let environment = Environment::of_process();
        let installation = context.installation(ClientSecrets::Leave)?;
        let given = key::given(self.key_file.as_deref(), &environment)?;
        // A signal ends this process while it waits for the passphrase of the vault.
        let opened = if given.is_none() { Some(context.opened()?) } else { None };
        let runtime = runtime::multi_threaded()?;
        // From here on a signal does not leave a key behind.
        let mut signals = {
            let _guard = runtime.enter();
            Signals::catch()?
        };
        let made = match opened {
            Some(opened) => Some(key::make(opened, self.user.as_ref(), &self.credentials, self.expires)?),
            None => None,
        };
        let ended = runtime.block_on(async {
            let ready = tokio::select! {
                biased;
                signal = signals.next() => return Ok(child::code_of(signal)),
                ready = self.prepare(&installation, given, made.as_ref()) => ready?,
            };
            self.run_command(&ready, &mut signals, out).await
        });
        runtime.shutdown_background();
        if let Some(made) = made {
            made.revoke(&installation);
        }
        ended.map(ExitCode::from)
    }

    /// Checks the key and the server, and starts the relay.
    async fn prepare(
        &self,
        installation: &Installation,
        given: Option<Secret>,
        made: Option<&MadeKey>,
    ) -> Result<Ready, Failure> {
        let inherited = Environment::of_process();
        // A key of one user is refused with the name of a user.
        let user = self.user.as_ref().filter(|_| made.is_none());
        let key = given.or_else(|| made.map(|made| made.text.clone()));
        let key = key.ok_or_else(|| Failure::configuration("there is no API key"))?;
        let base = match &self.server {
            Some(url) => arguments::server_url("--server", url)?,
            None => url_of(installation.config())?,
        };
        let server = Server::new(base, installation.config(), &key, user)?;
        if made.is_none() {
            server.check_key().await?;
        }
        let Destinations { hosts: bound, credentials: usable } = server.destinations().await?;
        let ca = server.ca().await?;
        let credentials = self.selected(&usable)?;
        let address = self.forward_proxy.clone().or_else(|| self.configured_proxy(installation.config()));
        // Inside of a tunnel, the relay does not see which credential a request names.
        let is_wider = usable.len() > credentials.len();
        let forward = address.filter(|_| !is_wider).and_then(|address| ForwardProxy::new(address, &key, user));
        let relay = Relay::open(self.proxy_auth).await?;
        let mut environment = ChildEnvironment::new(&inherited, &installation.config().secrets);
        environment.proxy(&relay.proxy_url(), relay.port(), &bound, &inherited);
        let mut certificates = ca.map(Bundles::new).transpose()?;
        if let Some(certificates) = &mut certificates {
            environment.certificates(certificates, &inherited)?;
        }
        self.set_variables(installation, &credentials, &relay, &mut environment);
        if is_wider {
            note(
                "The key may use more credentials than --credential names, so the forward proxy is off: limit the key \
                 with `strongroom key update ID --credential …`.",
            );
        }
        if forward.is_none() {
            note("Without a forward proxy, requests with a credential work only at the base URLs in these variables.");
        }
        let relay = relay.serve(server, Tunnels { bound, forward }, self.credentials.clone());
        Ok(Ready { relay, environment, _certificates: certificates })
    }

    /// Returns the credentials that the command may use, in the order of `--credential`.
    fn selected(&self, usable: &[UsableCredential]) -> Result<Vec<UsableCredential>, Failure> {
        if self.credentials.is_empty() {
            return Ok(usable.to_vec());
        }
        let mut found = Vec::new();
        for id in &self.credentials {
            let one = usable.iter().find(|(usable, _)| usable == id);
            let unknown = || Failure::configuration(format!("this API key cannot use a credential {id}"));
            let one = one.ok_or_else(|| unknown().advise("`strongroom credential list` lists all credentials"))?;
            if !found.contains(one) {
                found.push(one.clone());
            }
        }
        Ok(found)
    }

    async fn run_command(&self, ready: &Ready, signals: &mut Signals, out: &mut Output) -> Result<u8, Failure> {
        let Ready { relay, environment, .. } = ready;
        if self.check {
            return tokio::select! {
                signal = signals.next() => Ok(child::code_of(signal)),
                checked = check::check(relay, environment, out) => checked.map(|()| 0),
            };
        }
        note("This is not a sandbox: the command runs as your user, and can read all that your user can read.");
        let mut running = pin!(child::run(child::command(&self.command, environment), signals));
        let ended = tokio::select! {
            biased;
            ended = running.as_mut() => ended,
            () = node::warn(environment) => running.await,
        };
        match ended {
            Ok(code) => Ok(code),
            Err((code, error)) => {
                note(format!("error: cannot run {}: {error}", self.command[0].to_string_lossy()));
                Ok(code)
            }
        }
    }

    /// Returns the forward proxy of the configuration's server. One with TLS, or at an address that is
    /// not loopback, is for other machines.
    fn configured_proxy(&self, config: &Config) -> Option<String> {
        let has_plain = self.server.is_none() && config.proxy.tls.is_none();
        match config.proxy.listen.as_ref().filter(|_| has_plain)? {
            Listen::Tcp { host, port } if *port != 0 => forward_proxy(&reachable(host, *port)).ok(),
            _ => None,
        }
    }

    /// Sets the variables of the credentials, and says which.
    fn set_variables(
        &self,
        installation: &Installation,
        credentials: &[UsableCredential],
        relay: &Relay,
        child: &mut ChildEnvironment,
    ) {
        let variables = installation.child_variables(credentials, &relay.path_url(), !self.credentials.is_empty());
        let names: Vec<&str> = variables.values.keys().map(String::as_str).collect();
        note(match names.len() {
            0 => "No variable is set for a credential.".to_owned(),
            _ => format!("Variables of credentials: {}", names.join(", ")),
        });
        for (name, ids) in &variables.ambiguous {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            note(format!("{name} is not set: name one of the credentials with --credential: {}", ids.join(", ")));
        }
        for (name, value) in variables.values {
            child.set(&name, value);
        }
    }
}
