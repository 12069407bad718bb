//! `strongroom config`: checks and shows the settings.

use clap::Subcommand;
use serde_json::json;

use super::context::Context;
use super::failure::Failure;
use super::output::{Output, note};
use crate::config::{ClientSecrets, SETTINGS, Setting, Shown, on_one_line};

/// Check or show the configuration
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Check the configuration: report every fault at once, with file, line and key
    Check,
    /// Show every setting and its source; secrets are masked
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl ConfigCommand {
    pub(super) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        match self {
            Self::Check => check(context, out),
            Self::Show { json } => show(json, context, out),
        }
    }
}

fn check(context: &Context, out: &mut Output) -> Result<(), Failure> {
    let installation = context.installation(ClientSecrets::Require)?;
    let config = installation.config();
    for warning in &config.warnings {
        note(format!("warning: {warning}"));
    }
    let file = config.file.as_ref().map(|file| file.display().to_string());
    let no_file = if config.is_dev { "the running `strongroom dev`" } else { "no configuration file; the defaults" };
    let source = file.filter(|_| !config.is_dev).unwrap_or_else(|| no_file.to_owned());
    let warnings = match config.warnings.len() {
        0 => String::new(),
        1 => ", one warning".to_owned(),
        many => format!(", {many} warnings"),
    };
    out.line(format!("{source}: ok ({} providers{warnings})", installation.provider_count()))
}

fn show(as_json: bool, context: &Context, out: &mut Output) -> Result<(), Failure> {
    let installation = context.installation(ClientSecrets::Leave)?;
    let shown = &installation.config().shown;
    if as_json {
        let row = |one: &Shown| json!({ "key": one.key, "value": one.value, "from": one.location.to_string() });
        return out.json(&shown.iter().map(row).collect::<Vec<_>>());
    }
    for one in shown {
        out.line(format!("{} = {}  # {}", on_one_line(&one.key), one.value, one.location))?;
    }
    // Those of the sections that have no names of the operator's choice.
    let is_absent =
        |setting: &&Setting| !setting.key.contains("NAME") && !shown.iter().any(|one| one.key.starts_with(setting.key));
    for setting in SETTINGS.iter().filter(is_absent) {
        out.line(format!("# {}  # not set", setting.key))?;
    }
    Ok(())
}
