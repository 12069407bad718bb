//! `strongroom doctor`: finds what would keep this installation from working, and says how to fix
//! it.

use std::os::unix::fs::PermissionsExt;

use clap::Args;

use super::findings::{Findings, Level, show};
use super::process::process;
use super::vault;
use crate::broker::{Installation, StartError};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::config::{ClientSecrets, LimitSettings, is_loopback};
use crate::http::Tls;

/// Check this installation, and say how to fix what is wrong
#[derive(Debug, Args)]
pub(in crate::cli) struct Doctor {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(in crate::cli) fn run(self, context: &Context, out: &mut Output) -> Result<(), Failure> {
        let mut findings = Findings::default();
        let mut vault_path = None;
        match context.installation(ClientSecrets::Require) {
            Ok(installation) => {
                settings(&installation, &mut findings);
                vault::vault(&installation, &mut findings);
                vault_path = Some(installation.config().vault.path.clone());
            }
            Err(failure) => findings.fault(&failure),
        }
        process(vault_path.as_deref(), &mut findings);
        let faults = findings.0.iter().filter(|finding| finding.level == Level::Fault).count();
        if self.json {
            out.json(&findings.0)?;
        } else {
            findings.0.iter().try_for_each(|finding| show(finding, out))?;
        }
        out.flush()?;
        match faults {
            0 => Ok(()),
            1 => Err(Failure::new("found one fault")),
            _ => Err(Failure::new(format!("found {faults} faults"))),
        }
    }
}

fn settings(installation: &Installation, findings: &mut Findings) {
    let config = installation.config();
    match &config.file {
        _ if config.is_dev => findings.ok("the settings of the running `strongroom dev` are valid"),
        Some(file) => findings.ok(format!("the configuration {} is valid", file.display())),
        None => findings.advice("no configuration file found; the defaults apply", "create one with `strongroom init`"),
    }
    for warning in &config.warnings {
        findings.advice(warning.key.clone(), format!("{}: {}", warning.location, warning.message));
    }
    if config.oauth.callback_origins.is_empty() {
        findings.advice(
            "oauth.callback_origins is empty, so every login is rejected",
            "set it to your application's origins, for example [\"https://app.example.com\"]",
        );
    }
    let server = &config.server;
    if !config.is_dev && server.public_url.host().is_none_or(|host| is_loopback(&host)) {
        findings.advice(
            format!("server.public_url is {}, which other machines cannot reach", server.public_url),
            "correct if only this machine uses Strongroom; otherwise set the URL that others use",
        );
    }
    if let Some(files) = &server.tls {
        match Tls::load(&files.certificate, &files.key) {
            Ok(_) => findings.ok("the TLS certificate and its key match"),
            Err(error) => findings.fault(&Failure::new(error.to_string()).advise("check server.tls")),
        }
        if std::fs::metadata(&files.key).is_ok_and(|key| key.permissions().mode() & 0o077 != 0) {
            let key = files.key.display();
            findings.advice(format!("other users can read the TLS key {key}"), format!("run: chmod 0600 {key}"));
        }
    }
    limits(&config.limits, findings);
    if let Err(error) = installation.egress() {
        findings.fault(&StartError::from(error).into());
    }
    for provider in installation.configured_providers() {
        let name = &provider.name;
        match installation.missing(provider) {
            Some(fix) => findings.advice(format!("accounts cannot be connected at {name} yet"), fix),
            None => findings.ok(format!("the provider {name} is configured")),
        }
    }
}

/// Warns of shares with which one API key can shut out all others.
fn limits(limits: &LimitSettings, findings: &mut Findings) {
    for (key, is_whole) in [
        ("body_memory", limits.body_memory_per_key >= limits.body_memory),
        ("waiting", limits.waiting_per_key >= limits.waiting),
    ] {
        if is_whole {
            findings.advice(
                format!("limits.{key}_per_key is not below limits.{key}, so one API key can shut out all others"),
                format!("set limits.{key}_per_key to a quarter of limits.{key}, or less"),
            );
        }
    }
}
