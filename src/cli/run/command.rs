//! The options of `strongroom run`, and its steps.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use url::Url;

use super::bundle::Bundles;
use super::environment::ChildEnvironment;
use super::key::{self, MadeKey};
use super::relay::{Relay, RelayState};
use super::server::{Server, reachable, url_of};
use super::tunnel::{ForwardProxy, Tunnels};
use super::{check, child};
use crate::broker::Installation;
use crate::cli::arguments;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, note};
use crate::cli::runtime;
use crate::clock::UnixTime;
use crate::config::{ClientSecrets, Config, Environment, Listen};
use crate::id::{CredentialId, ProviderName, UserId};
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
    server: Option<Url>,
    /// Address of the server's forward proxy, for requests to the hosts of credentials [default:
    /// proxy.listen of the configuration, unless --server is given]
    #[arg(long, value_name = "HOST:PORT")]
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

impl Run {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<ExitCode, Failure> {
        let environment = Environment::of_process();
        let installation = context.installation(ClientSecrets::Leave)?;
        let given = key::given(self.key_file.as_deref(), &environment)?;
        let runtime = runtime::multi_threaded()?;
        // From here on a signal does not leave a key behind.
        let signals = {
            let _guard = runtime.enter();
            child::Signals::catch()?
        };
        let made = match &given {
            Some(_) => None,
            None => Some(key::make(context, self.user.as_ref(), &self.credentials, self.expires)?),
        };
        let ended = runtime.block_on(self.with_key(&installation, given, made.as_ref(), signals, out));
        runtime.shutdown_background();
        if let Some(made) = made {
            made.revoke(context);
        }
        ended.map(ExitCode::from)
    }

    /// Serves the relay while the command runs.
    async fn with_key(
        &self,
        installation: &Installation,
        given: Option<Secret>,
        made: Option<&MadeKey>,
        mut signals: child::Signals,
        out: &mut Output,
    ) -> Result<u8, Failure> {
        let inherited = Environment::of_process();
        // A key of one user is refused with the name of a user.
        let user = self.user.as_ref().filter(|_| made.is_none());
        let key = given.or_else(|| made.map(|made| made.text.clone()));
        let key = key.ok_or_else(|| Failure::configuration("there is no API key"))?;
        let base = self.server.clone().map_or_else(|| url_of(installation.config()), Ok)?;
        let server = Server::new(base, installation.config(), &key, user)?;
        if made.is_none() {
            server.check_key().await?;
        }
        let destinations = server.destinations().await?;
        let ca = server.ca().await;
        let (bound, listed) = destinations.map(|found| (found.hosts, found.credentials)).unwrap_or_default();
        let mut credentials = made.map_or(listed, |made| made.credentials.clone());
        if !self.credentials.is_empty() {
            credentials.retain(|(id, _)| self.credentials.contains(id));
            credentials.sort_by_key(|(id, _)| self.credentials.iter().position(|named| named == id));
        }
        let forward = self.forward_proxy.clone().or_else(|| self.configured_proxy(installation.config()));
        let forward = forward.and_then(|address| ForwardProxy::new(address, &key, user));
        let relay = Relay::open(self.proxy_auth).await?;
        let mut child = ChildEnvironment::new(&inherited, &installation.config().secrets);
        child.proxy(&relay.proxy_url(), relay.port(), &bound, &inherited);
        let mut bundles = ca.map(Bundles::new).transpose()?;
        if let Some(bundles) = &mut bundles {
            child.certificates(bundles, &inherited)?;
        }
        self.set_variables(installation, &credentials, &relay, &mut child);
        if forward.is_none() {
            note("Without a forward proxy, requests with a credential work only at the base URLs in these variables.");
        }
        let relay = relay.serve(server, Tunnels { bound, forward }, self.credentials.clone());
        self.run_command(&relay, &child, &mut signals, out).await
    }

    async fn run_command(
        &self,
        relay: &Arc<RelayState>,
        environment: &ChildEnvironment,
        signals: &mut child::Signals,
        out: &mut Output,
    ) -> Result<u8, Failure> {
        if self.check {
            check::check(relay, environment, out).await?;
            return Ok(0);
        }
        note("This is not a sandbox: the command runs as your user, and can read all that your user can read.");
        match child::run(child::command(&self.command, environment), signals).await {
            Ok(code) => Ok(code),
            Err((code, error)) => {
                note(format!("error: cannot run {}: {error}", self.command[0].to_string_lossy()));
                Ok(code)
            }
        }
    }

    /// Returns the forward proxy of the configuration's server. One with TLS is for other machines.
    fn configured_proxy(&self, config: &Config) -> Option<String> {
        let has_plain = self.server.is_none() && config.proxy.tls.is_none();
        match config.proxy.listen.as_ref().filter(|_| has_plain)? {
            Listen::Tcp { host, port } if *port != 0 => Some(reachable(host, *port)),
            _ => None,
        }
    }

    /// Sets the variables of the credentials, and says which.
    fn set_variables(
        &self,
        installation: &Installation,
        credentials: &[(CredentialId, ProviderName)],
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
