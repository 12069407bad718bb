//! `strongroom provider`: the catalogue, as this configuration extends it.

mod check;
mod show;

use clap::Subcommand;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::config::ClientSecrets;

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
        let installation = context.installation(ClientSecrets::Leave)?;
        match self {
            Self::List { words, json } => show::list(&installation, &words, json, out),
            Self::Show { name, json } => show::show(&installation, &name, json, out),
            Self::Check { names, json } => check::check(&installation, &names, json, out),
        }
    }
}
