//! `strongroom provider`: the catalogue, as this configuration extends it.

mod check;
mod show;

use clap::Subcommand;

use crate::broker::Installation;
use crate::cli::confirm::Confirmation;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::runtime::block_on;
use crate::config::ClientSecrets;
use crate::validation::{did_you_mean, nearest};

/// Show the catalogue of providers, as this configuration extends it
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ProviderCommand {
    /// List the providers
    List {
        /// Only providers with each of these words in their name, display name or category
        words: Vec<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the whole entry of a provider
    Show {
        /// Provider name
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Forget the OAuth clients that Strongroom registered for MCP servers; new logins register again
    Forget {
        /// Name of a provider that is an MCP server
        name: String,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Check that accounts can be connected: client, endpoints, and what to register
    Check {
        /// Provider names [default: those in the configuration]
        names: Vec<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl ProviderCommand {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let installation = context.installation(match self {
            // It sends requests, perhaps through a proxy with a password.
            Self::Check { .. } => ClientSecrets::Try,
            _ => ClientSecrets::Leave,
        })?;
        match self {
            Self::List { words, json } => show::list(&installation, &words, json, out),
            Self::Show { name, json } => show::show(&installation, &name, json, out),
            Self::Forget { name, confirmation } => forget(context, &installation, &name, confirmation, out),
            Self::Check { names, json } => check::check(&installation, &names, json, out),
        }
    }
}

/// Credentials keep the client that they were connected through.
fn forget(
    context: &Context,
    installation: &Installation,
    name: &str,
    confirmation: Confirmation,
    out: &mut Output,
) -> Result<(), Failure> {
    let is_mcp = |name: &str| installation.provider(name).is_ok_and(|provider| provider.entry.mcp.is_some());
    if !is_mcp(name) && installation.provider(name).is_err() {
        let rows = installation.providers(&[]);
        let servers = rows.iter().map(|row| row.name.as_str()).filter(|name| is_mcp(name));
        let near = did_you_mean(nearest(name, servers));
        return Err(Failure::new(format!("there is no provider '{name}'{near}"))
            .advise("`strongroom provider list mcp` lists the MCP servers"));
    }
    if !is_mcp(name) {
        return Err(Failure::configuration(format!(
            "provider {name} is not an MCP server, so Strongroom registers no client there"
        ))
        .advise(format!("its client is providers.{name}.client_id in the configuration")));
    }
    confirmation.confirm("Forget all OAuth clients that Strongroom registered?")?;
    let forgotten = block_on(context.broker()?.forget_clients())??;
    let clients = if forgotten == 1 { "client" } else { "clients" };
    out.line(format!("forgot {forgotten} registered {clients}; the next login at each MCP server registers again"))
}
