//! `strongroom provider check`: prints if accounts can be connected, and what to register.

use crate::broker::{EndpointCheck, Installation, ProviderReport, StartError};
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::cli::runtime::block_on;
use crate::visible::plain;

/// Checks the named providers, or those with a section in the configuration.
pub(in crate::cli) fn check(
    installation: &Installation,
    names: &[String],
    json: bool,
    out: &mut Output,
) -> Result<(), Failure> {
    let chosen = if names.is_empty() {
        installation.configured_providers()
    } else {
        names.iter().map(|name| installation.provider(name)).collect::<Result<_, _>>()?
    };
    if !json {
        out.line(format!("the catalogue is valid: {} entries", installation.provider_count()))?;
    }
    if chosen.is_empty() && !json {
        return out.line("the configuration has no provider; add [providers.NAME] with client_id and client_secret");
    }
    let egress = installation.egress().map_err(StartError::from)?;
    let mut reports = Vec::with_capacity(chosen.len());
    for provider in chosen {
        let report = block_on(installation.check_provider(provider, &egress))?;
        if !json {
            print(&report, installation, out)?;
            out.flush()?;
        }
        reports.push(report);
    }
    if json {
        out.json(&reports)?;
        out.flush()?;
    }
    match reports.iter().map(|report| report.problems).sum() {
        0 => Ok(()),
        1 => Err(Failure::new("found one problem")),
        problems => Err(Failure::new(format!("found {problems} problems"))),
    }
}

fn print(report: &ProviderReport, installation: &Installation, out: &mut Output) -> Result<(), Failure> {
    out.line(format!("{} ({})", report.name, report.display_name))?;
    out.line(format!("  entry      ok; accepts {}", report.kinds.join(", ")))?;
    if let Some(client) = &report.client {
        out.line(format!("  client     {}", client.message))?;
    }
    print_redirect_uris(report, &installation.config().oauth.redirect_uris, out)?;
    if !report.inputs.is_empty() {
        let names = report.inputs.join(", ");
        out.line(format!("  inputs     {names}: given by the caller; URLs that contain one are not checked"))?;
    }
    if let Some(discovery) = &report.discovery {
        let word = if discovery.ok { "ok" } else { "FAILED" };
        out.line(format!("  discovery  {word}: {}", plain(&discovery.message)))?;
    }
    for EndpointCheck { name, status, error, .. } in &report.endpoints {
        match error {
            Some(error) if status.is_some() => out.line(format!("  {name:<10} WRONG: {}", plain(error)))?,
            Some(error) => out.line(format!("  {name:<10} NOT reachable: {error}"))?,
            None => out.line(format!("  {name:<10} reachable ({})", status.unwrap_or_default()))?,
        }
    }
    Ok(())
}

/// Prints what to register at the provider.
fn print_redirect_uris(report: &ProviderReport, configured: &[String], out: &mut Output) -> Result<(), Failure> {
    let Some(loopback) = &report.loopback_redirect_uri else { return Ok(()) };
    if report.redirect_uris.is_empty() {
        out.line("  register   no callback is allowed yet; set oauth.callback_origins")?;
    } else {
        for uri in &report.redirect_uris {
            out.line(format!("  register   {uri}"))?;
        }
        let exactly = if report.redirect_uris.iter().any(|uri| configured.contains(uri)) {
            "exactly as in oauth.redirect_uris"
        } else {
            "or exactly what your application sends instead"
        };
        out.line(format!("             {exactly}; one path per provider prevents mix-up attacks (RFC 9700 §4.4)"))?;
    }
    out.line(format!(
        "  register   {loopback} for `strongroom connect` (any port; 18484 is tried first, --port N sets it)"
    ))
}
