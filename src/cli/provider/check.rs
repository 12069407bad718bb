//! `strongroom provider check`: checks that accounts can be connected: client, discovery and
//! endpoints, and what to register at the provider.

use serde::Serialize;
use url::Url;

use super::lookup::{found, kinds, missing};
use crate::broker::callback_path;
use crate::catalog::entry::{Mcp, OAuth};
use crate::catalog::input::InputFrom;
use crate::catalog::{Catalog, Provider};
use crate::cli::context::egress;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, plain};
use crate::cli::runtime::block_on;
use crate::clock::Clock;
use crate::config::Config;
use crate::egress::{Egress, EgressRequest};
use crate::oauth::{Client, Metadata, ProtectedResource, resolve};
use crate::random::Random;

/// Result for one provider.
#[derive(Debug, Serialize)]
struct ProviderReport {
    name: String,
    display_name: String,
    kinds: Vec<&'static str>,
    /// State of the client configuration; `None` if the provider needs no client.
    client: Option<ConfigurationCheck>,
    /// Redirect URIs to register, one per allowed origin, with a path that only this provider uses.
    redirect_uris: Vec<String>,
    /// Redirect URI of `strongroom connect`. The port is any free one unless `--port` is given.
    loopback_redirect_uri: Option<String>,
    /// Inputs that a caller must give. URLs that contain one are not requested.
    inputs: Vec<String>,
    /// Result of discovery, if the entry uses it.
    discovery: Option<ConfigurationCheck>,
    endpoints: Vec<EndpointCheck>,
    /// Number of problems that would keep accounts from being connected.
    problems: usize,
}

/// Result of one check, with its value or its error.
#[derive(Debug, Serialize)]
struct ConfigurationCheck {
    ok: bool,
    message: String,
}

/// Reachability of one URL. Any HTTP status counts, because no real request was sent.
#[derive(Debug, Serialize)]
struct EndpointCheck {
    name: &'static str,
    url: String,
    status: Option<u16>,
    error: Option<String>,
}

/// Checks the named providers, or those with a section in the configuration.
pub(in crate::cli) fn check(
    config: &Config,
    catalog: &Catalog,
    names: &[String],
    json: bool,
    out: &mut Output,
) -> Result<(), Failure> {
    let chosen: Vec<&Provider> = if names.is_empty() {
        config.providers.keys().filter_map(|name| catalog.get(name.as_str())).collect()
    } else {
        names.iter().map(|name| found(catalog, name)).collect::<Result<_, _>>()?
    };
    if !json {
        out.line(format!("the catalogue is valid: {} entries", catalog.iter().len()))?;
    }
    if chosen.is_empty() && !json {
        return out.line("the configuration has no provider; add [providers.NAME] with client_id and client_secret");
    }
    let egress = egress(config)?;
    let mut reports = Vec::with_capacity(chosen.len());
    for provider in chosen {
        let report = block_on(ProviderReport::of(config, provider, &egress))?;
        if !json {
            report.print(config, out)?;
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

impl ProviderReport {
    async fn of(config: &Config, provider: &Provider, egress: &Egress) -> Self {
        let connects = provider.entry.oauth.is_some() || provider.entry.mcp.is_some();
        let mut report = Self {
            name: provider.name.to_string(),
            display_name: provider.entry.display_name.clone(),
            kinds: kinds(provider),
            client: client(config, provider),
            redirect_uris: if connects { redirect_uris(config, provider.name.as_str()) } else { Vec::new() },
            loopback_redirect_uri: connects
                .then(|| format!("http://127.0.0.1{}", callback_path(provider.name.as_str()))),
            inputs: Vec::new(),
            discovery: None,
            endpoints: Vec::new(),
            problems: 0,
        };
        if let Some(oauth) = &provider.entry.oauth {
            let given = oauth.inputs.iter().filter(|(_, input)| input.from == InputFrom::Caller);
            report.inputs = given.map(|(name, _)| name.clone()).collect();
            report.check_endpoints(oauth, egress).await;
        }
        if let Some(mcp) = &provider.entry.mcp {
            report.check_mcp_server(mcp, egress).await;
        }
        let unwell = [&report.client, &report.discovery].into_iter().flatten().filter(|finding| !finding.ok).count();
        let silent = report.endpoints.iter().filter(|endpoint| endpoint.error.is_some()).count();
        report.problems = unwell + silent;
        report
    }

    /// Runs discovery if the entry needs it, then requests each endpoint.
    async fn check_endpoints(&mut self, oauth: &OAuth, egress: &Egress) {
        let mut whole = oauth.clone();
        if let Some(issuer) = oauth.issuer.as_ref().filter(|_| oauth.discovers()) {
            let resolved = match Metadata::fetch(egress, issuer).await {
                Ok(metadata) => resolve(oauth, &metadata, &Client::anonymous(Clock::system(), Random)),
                Err(error) => Err(error),
            };
            self.discovery = Some(match resolved {
                Ok(resolved) => {
                    whole = resolved;
                    ConfigurationCheck { ok: true, message: issuer.clone() }
                }
                Err(error) => ConfigurationCheck { ok: false, message: error.to_string() },
            });
        }
        for (name, url) in endpoints(&whole) {
            let shown = url.to_string();
            let answered = reach(egress, url).await;
            let (status, error) = match answered {
                Ok(status) => (Some(status), None),
                Err(error) => (None, Some(error)),
            };
            self.endpoints.push(EndpointCheck { name, url: shown, status, error });
        }
    }

    /// Looks up an MCP server's authorization server and its metadata.
    async fn check_mcp_server(&mut self, mcp: &Mcp, egress: &Egress) {
        let Some(server) = &mcp.server_url else {
            self.inputs.push(Mcp::INPUT.to_owned());
            return;
        };
        let asked = match ProtectedResource::find(egress, server).await {
            Ok(resource) => match resource.authorization_servers.first() {
                Some(issuer) => {
                    Metadata::fetch(egress, issuer).await.map(|_| issuer.clone()).map_err(|e| e.to_string())
                }
                None => Err("the server names no authorization server".to_owned()),
            },
            Err(error) => Err(error.to_string()),
        };
        self.discovery = Some(match asked {
            Ok(message) => ConfigurationCheck { ok: true, message },
            Err(message) => ConfigurationCheck { ok: false, message },
        });
    }

    fn print(&self, config: &Config, out: &mut Output) -> Result<(), Failure> {
        out.line(format!("{} ({})", self.name, self.display_name))?;
        out.line(format!("  entry      ok; accepts {}", self.kinds.join(", ")))?;
        if let Some(client) = &self.client {
            out.line(format!("  client     {}", client.message))?;
        }
        self.print_redirect_uris(config, out)?;
        if !self.inputs.is_empty() {
            let names = self.inputs.join(", ");
            out.line(format!("  inputs     {names}: given by the caller; URLs that contain one are not checked"))?;
        }
        if let Some(discovery) = &self.discovery {
            let word = if discovery.ok { "ok" } else { "FAILED" };
            out.line(format!("  discovery  {word}: {}", plain(&discovery.message)))?;
        }
        for EndpointCheck { name, status, error, .. } in &self.endpoints {
            match (status, error) {
                (_, Some(error)) => out.line(format!("  {name:<10} NOT reachable: {error}"))?,
                (status, None) => out.line(format!("  {name:<10} reachable ({})", status.unwrap_or_default()))?,
            }
        }
        Ok(())
    }

    /// Prints what to register at the provider.
    fn print_redirect_uris(&self, config: &Config, out: &mut Output) -> Result<(), Failure> {
        let Some(loopback) = &self.loopback_redirect_uri else { return Ok(()) };
        if self.redirect_uris.is_empty() {
            out.line("  register   no callback is allowed yet; set oauth.callback_origins")?;
        }
        for uri in &self.redirect_uris {
            out.line(format!("  register   {uri}"))?;
        }
        if !self.redirect_uris.is_empty() {
            let listed = self.redirect_uris.iter().any(|uri| config.oauth.redirect_uris.contains(uri));
            let exactly = if listed {
                "exactly as in oauth.redirect_uris"
            } else {
                "or exactly what your application sends instead"
            };
            out.line(format!("             {exactly}; one path per provider prevents mix-up attacks (RFC 9700 §4.4)"))?;
        }
        out.line(format!("  register   {loopback} for `strongroom connect` (any port; --port N if it must be exact)"))
    }
}

/// Checks the client configuration; `None` if no client is needed.
fn client(config: &Config, provider: &Provider) -> Option<ConfigurationCheck> {
    let finding = |ok, message| Some(ConfigurationCheck { ok, message });
    if let Some(missing) = missing(config, provider) {
        return finding(false, format!("MISSING: {missing}"));
    }
    let settings = config.providers.get(&provider.name)?;
    let faults: Vec<String> = settings
        .secret_sources()
        .filter_map(|(_, source)| config.secrets.read(source).err())
        .map(|fault| format!("cannot read its secret: {fault}"))
        .collect();
    match &faults[..] {
        [] if provider.entry.oauth.is_none() && settings.client_id.is_none() => None,
        [] => finding(true, "ok".to_owned()),
        faults => finding(false, faults.join("; ")),
    }
}

/// Returns the configured redirect URIs with the provider's name in their path, else one for each
/// allowed origin.
fn redirect_uris(config: &Config, provider: &str) -> Vec<String> {
    let is_own = |uri: &&String| {
        let parsed = Url::parse(uri).ok();
        parsed.is_some_and(|url| url.path().split('/').any(|part| part == provider))
    };
    let own: Vec<String> = config.oauth.redirect_uris.iter().filter(is_own).cloned().collect();
    if !own.is_empty() {
        return own;
    }
    let origins = config.oauth.callback_origins.list();
    origins.into_iter().map(|origin| format!("{origin}{}", callback_path(provider))).collect()
}

fn endpoints(oauth: &OAuth) -> Vec<(&'static str, Url)> {
    let written = [
        ("authorize", Some(&oauth.authorize_url)),
        ("token", Some(&oauth.token_url)),
        ("par", oauth.par_url.as_ref()),
        ("device", oauth.device_authorization_url.as_ref()),
        ("refresh", oauth.refresh_url.as_ref()),
        ("long-lived", oauth.long_lived.as_ref().map(|how| &how.url)),
        ("introspect", oauth.introspect.as_ref().map(|how| &how.url)),
        ("identity", oauth.identity.as_ref().filter(|how| !how.from_token_answer).map(|how| &how.url)),
        ("revoke", oauth.revoke.as_ref().map(|revoke| &revoke.url)),
    ];
    // A URL template cannot be requested.
    written.into_iter().filter_map(|(name, url)| Some((name, url?.url()?.clone()))).collect()
}

async fn reach(egress: &Egress, url: Url) -> Result<u16, String> {
    let request = EgressRequest { method: http::Method::HEAD, url, headers: http::HeaderMap::new(), body: None };
    egress.send(request).await.map(|answer| answer.status.as_u16()).map_err(|error| error.to_string())
}
