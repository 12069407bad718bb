//! `strongroom config`: checks and shows the settings.

use clap::Subcommand;
use serde::Serialize;

use super::context::Context;
use super::failure::Failure;
use super::output::{Output, note};
use crate::config::{ClientSecrets, on_one_line};

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

#[derive(Serialize)]
struct SettingRow {
    key: String,
    value: toml::Value,
    from: String,
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
    let (config, catalog) = context.settings(ClientSecrets::Require)?;
    for warning in &config.warnings {
        note(format!("warning: {warning}"));
    }
    let source =
        config.file.map_or_else(|| "no configuration file; the defaults".to_owned(), |f| f.display().to_string());
    let warnings = match config.warnings.len() {
        0 => String::new(),
        1 => ", one warning".to_owned(),
        many => format!(", {many} warnings"),
    };
    out.line(format!("{source}: ok ({} providers{warnings})", catalog.iter().len()))
}

fn show(json: bool, context: &Context, out: &mut Output) -> Result<(), Failure> {
    let (config, _) = context.settings(ClientSecrets::Leave)?;
    let listed = config.shown.into_iter().map(|one| SettingRow {
        key: one.key,
        value: one.value,
        from: one.location.to_string(),
    });
    if json {
        return out.json(&listed.collect::<Vec<_>>());
    }
    for one in listed {
        out.line(format!("{} = {}  # {}", on_one_line(&one.key), one.value, one.from))?;
    }
    Ok(())
}
