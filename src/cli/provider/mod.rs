//! `strongroom provider`: the catalogue, as this configuration has it.

mod check;
pub(in crate::cli) mod lookup;
mod show;

use clap::Subcommand;

use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::config::ClientSecrets;

/// The catalogue of providers, as this configuration has it
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Provider {
    /// List the providers
    List {
        /// Only those with each of these words in their name, their display name or their category
        words: Vec<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show one provider's whole entry
    Show {
        /// Its name
        name: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Check that accounts can be connected: client, endpoints, what to register at the provider
    Check {
        /// Their names [default: those that the configuration has a section for]
        names: Vec<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

impl Provider {
    /// Runs the command.
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let (config, catalog) = context.settings(ClientSecrets::Leave)?;
        match self {
            Self::List { words, json } => show::list(&config, &catalog, &words, json, out),
            Self::Show { name, json } => show::show(&config, lookup::found(&catalog, &name)?, json, out),
            Self::Check { names, json } => check::check(&config, &catalog, &names, json, out),
        }
    }
}
