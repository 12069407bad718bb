//! The command line: one file a command, without logic of its own.
//!
//! Each command is a clap type. Its doc comments are the text of `--help`, the manual page and the
//! completions. A command takes a `Context` (settings, vault, broker) and an `Output`, calls a use
//! case of the broker, and prints the result. A [`Failure`] carries the exit code and advice.

mod approval;
mod arguments;
mod audit;
mod ca;
mod completions;
mod config;
mod confirm;
mod connect;
mod context;
mod credential;
mod dev_instance;
mod doctor;
mod failure;
mod grant;
mod hardening;
mod init;
mod key;
mod man;
mod mcp;
mod names;
mod output;
mod provider;
mod run;
mod runtime;
mod secret_input;
mod server;
mod trust;
mod user;
mod vault;

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, Parser, Subcommand};

use crate::visible::plain;
use context::Context;
pub use failure::Failure;
pub use hardening::harden;
use output::{Output, note};
pub use server::dev;
use server::serve;

/// Stores your users' OAuth tokens, API keys and passwords, encrypted in one file
#[derive(Debug, Parser)]
#[command(name = "strongroom", bin_name = "strongroom", version, max_term_width = 110, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(flatten)]
    context: Context,
    #[command(subcommand)]
    command: Option<Command>,
}

const AFTER_HELP: &str = "Exit codes: 0 success; 1 failure; 2 usage or configuration; 3 wrong master key; 4 damaged vault. RUST_LOG sets the log filter.";

#[derive(Debug, Subcommand)]
enum Command {
    Dev(dev::Dev),
    Init(init::Init),
    Serve(serve::Serve),
    #[command(subcommand)]
    User(user::UserCommand),
    #[command(subcommand)]
    Key(key::KeyCommand),
    #[command(subcommand)]
    Grant(grant::GrantCommand),
    #[command(subcommand)]
    Approval(approval::ApprovalCommand),
    #[command(subcommand)]
    Provider(provider::ProviderCommand),
    #[command(subcommand)]
    Credential(credential::CredentialCommand),
    Connect(Box<connect::Connect>),
    Run(Box<run::Run>),
    Mcp(mcp::McpCommand),
    #[command(subcommand)]
    Vault(vault::VaultCommand),
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    #[command(subcommand)]
    Ca(ca::CaCommand),
    #[command(subcommand)]
    Config(config::ConfigCommand),
    Doctor(doctor::Doctor),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Cli {
    /// Parses the command line; a mistake ends the process with exit code 2. All suggestions read
    /// alike, those of clap and those of the commands.
    pub fn parse_or_exit() -> Self {
        let mut error = match Self::try_parse() {
            Ok(cli) => return cli,
            Err(error) => error,
        };
        for kind in [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue] {
            let near = match error.remove(kind) {
                Some(ContextValue::String(near)) => near,
                Some(ContextValue::Strings(all)) if !all.is_empty() => all.join("', '"),
                _ => continue,
            };
            let tip = vec![format!("did you mean '{near}'?").into()];
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tip));
        }
        if !error.use_stderr() {
            error.exit();
        }
        // An argument may contain any character, and may come from a script's input.
        let texts = error.context().filter_map(|(kind, value)| match value {
            ContextValue::String(text) => Some((kind, ContextValue::String(plain(text)))),
            _ => None,
        });
        for (kind, text) in texts.collect::<Vec<_>>() {
            error.insert(kind, text);
        }
        note(error.render().to_string().trim_end());
        std::process::exit(error.exit_code())
    }

    /// Runs the command, and returns its exit code; prints the help if there is none.
    pub fn run(self) -> Result<ExitCode, Failure> {
        let mut out = Output::locked();
        let context = &self.context;
        if context.dev && matches!(self.command, Some(Command::Dev(_) | Command::Init(_) | Command::Serve(_))) {
            return Err(Failure::configuration("--dev selects the vault of a running `strongroom dev`")
                .advise("leave out --dev: `dev`, `init` and `serve` do not work on that vault"));
        }
        let mut code = ExitCode::SUCCESS;
        match self.command {
            None => out.raw(Self::command().render_help().to_string()),
            Some(Command::Dev(dev)) => dev.run(context),
            Some(Command::Init(init)) => init.run(context, &mut out),
            Some(Command::Serve(serve)) => serve.run(context),
            Some(Command::User(user)) => user.run(context, &mut out),
            Some(Command::Key(key)) => key.run(context, &mut out),
            Some(Command::Grant(grant)) => grant.run(context, &mut out),
            Some(Command::Approval(approval)) => approval.run(context, &mut out),
            Some(Command::Provider(provider)) => provider.run(context, &mut out),
            Some(Command::Credential(credential)) => credential.run(context, &mut out),
            Some(Command::Connect(connect)) => connect.run(context, &mut out),
            Some(Command::Run(run)) => run.run(context, &mut out).map(|ended| code = ended),
            Some(Command::Mcp(mcp)) => mcp.run(context, &mut out),
            Some(Command::Vault(vault)) => vault.run(context, &mut out),
            Some(Command::Audit(audit)) => audit.run(context, &mut out),
            Some(Command::Ca(ca)) => ca.run(context, &mut out),
            Some(Command::Config(config)) => config.run(context, &mut out),
            Some(Command::Doctor(doctor)) => doctor.run(context, &mut out),
            Some(Command::Completions(completions)) => completions.run(Self::command(), &mut out),
            Some(Command::Man(man)) => man.run(Self::command(), &mut out),
        }?;
        out.flush()?;
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_definitions_are_valid() {
        Cli::command().debug_assert();
    }
}
