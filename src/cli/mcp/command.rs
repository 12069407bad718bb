//! The command, and the server that it talks to.

use std::path::PathBuf;

use clap::Args;

use super::endpoint::McpEndpoint;
use super::relay;
use crate::cli::arguments::server_url;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::runtime::block_on;
use crate::config::{ClientSecrets, Environment, Listen, ServerSettings};
use crate::id::UserId;
use crate::secret::Secret;

/// The variable with the API key.
const KEY_VARIABLE: &str = "STRONGROOM_API_KEY";

/// Serve MCP on standard input and output, for agents that start their servers
///
/// Passes each message to /mcp of a running Strongroom. The API key is in STRONGROOM_API_KEY and
/// needs the permission PROXY_INTEGRATIONS. The vault is not opened.
#[derive(Debug, Args)]
pub(in crate::cli) struct McpCommand {
    /// URL of the running server [default: the address in the configuration]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The user to act for, with a service key
    #[arg(long)]
    user: Option<UserId>,
    /// PEM file with the certificate of the server's CA
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl McpCommand {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let key = Environment::of_process().get(KEY_VARIABLE).map(Secret::from).ok_or_else(|| {
            Failure::configuration(format!("{KEY_VARIABLE} is not set")).advise(
                "create a key with `strongroom key create --permission PROXY_INTEGRATIONS`, and set the variable",
            )
        })?;
        let mut endpoint = match &self.url {
            Some(url) => McpEndpoint::at_url(&server_url("--url", url)?, self.ca.as_deref())?,
            None => self.configured(&context.installation(ClientSecrets::Leave)?.config().server)?,
        };
        endpoint.authenticate(&key, self.user.as_ref())?;
        block_on(relay::run(endpoint, out))?
    }

    /// Returns the address of the server on this machine, or its public URL if it has TLS: the
    /// certificate names that host.
    fn configured(&self, server: &ServerSettings) -> Result<McpEndpoint, Failure> {
        match &server.listen {
            Listen::Unix(path) => Ok(McpEndpoint::at_socket(path.clone(), &server.base_path)),
            Listen::Tcp { .. } if server.tls.is_some() => {
                let base = server.public_url.as_str().trim_end_matches('/');
                McpEndpoint::at_url(
                    &server_url("server.public_url", &format!("{base}{}", server.base_path))?,
                    self.ca.as_deref(),
                )
            }
            Listen::Tcp { host, port } => {
                let host = match host.as_str() {
                    "0.0.0.0" => "127.0.0.1".to_owned(),
                    "::" => "[::1]".to_owned(),
                    host if host.contains(':') => format!("[{host}]"),
                    host => host.to_owned(),
                };
                let url = format!("http://{host}:{port}{}", server.base_path);
                McpEndpoint::at_url(&server_url("server.listen", &url)?, self.ca.as_deref())
            }
        }
    }
}
