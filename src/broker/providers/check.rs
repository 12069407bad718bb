//! Check that accounts can be connected at a provider: client, discovery and endpoints, and what to
//! register there.

use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde::Serialize;
use url::Url;
use zeroize::Zeroizing;

use super::lookup::{kinds, missing};
use crate::broker::installation::Installation;
use crate::broker::login::connect::callback_path;
use crate::catalog::Provider;
use crate::catalog::entry::{Mcp, OAuth};
use crate::catalog::input::InputFrom;
use crate::catalog::value::Endpoint;
use crate::clock::Clock;
use crate::config::Config;
use crate::egress::{Egress, EgressError, EgressRequest, EgressResponse};
use crate::oauth::{Client, Metadata, ProtectedResource, resolve};
use crate::random::Random;

/// Name of the token endpoint.
const TOKEN: &str = "token";

/// Result for one provider.
#[derive(Debug, Serialize)]
pub struct ProviderReport {
    /// Name.
    pub name: String,
    /// Name for people.
    pub display_name: String,
    /// Kinds of credentials that it accepts.
    pub kinds: Vec<&'static str>,
    /// State of the client configuration; `None` if the provider needs no client.
    pub client: Option<ConfigurationCheck>,
    /// Redirect URIs to register, one per allowed origin, with a path that only this provider uses.
    pub redirect_uris: Vec<String>,
    /// Redirect URI of `strongroom connect`. The port is any free one unless `--port` is given.
    pub loopback_redirect_uri: Option<String>,
    /// Inputs that a caller must give. URLs that contain one are not requested.
    pub inputs: Vec<String>,
    /// Result of discovery, if the entry uses it.
    pub discovery: Option<ConfigurationCheck>,
    /// Requested URLs.
    pub endpoints: Vec<EndpointCheck>,
    /// Number of problems that would keep accounts from being connected.
    pub problems: usize,
}

/// Result of one check, with its value or its error.
#[derive(Debug, Serialize)]
pub struct ConfigurationCheck {
    /// True if it succeeded.
    pub ok: bool,
    /// Value or error.
    pub message: String,
}

impl From<Result<String, String>> for ConfigurationCheck {
    fn from(result: Result<String, String>) -> Self {
        Self { ok: result.is_ok(), message: result.unwrap_or_else(|error| error) }
    }
}

/// Reachability of one URL. No real request is sent, so any HTTP status counts, except those of a
/// token endpoint that take no POST.
#[derive(Debug, Serialize)]
pub struct EndpointCheck {
    /// Name of the endpoint, for example `token`.
    pub name: &'static str,
    /// URL.
    pub url: String,
    /// Status of the answer.
    pub status: Option<u16>,
    /// Reason why there was no answer, or why it shows a wrong URL.
    pub error: Option<String>,
}

impl Installation {
    /// Returns the providers that have a section in the settings.
    pub fn configured_providers(&self) -> Vec<&Provider> {
        self.config.providers.keys().filter_map(|name| self.catalog.get(name.as_str())).collect()
    }

    /// Checks that accounts can be connected at the provider.
    pub async fn check_provider(&self, provider: &Provider, egress: &Egress) -> ProviderReport {
        let (entry, path) = (&provider.entry, callback_path(provider.name.as_str()));
        let egress = &egress.of_provider(provider.name.as_str());
        let connects = entry.oauth.is_some() || entry.mcp.is_some();
        let (mut inputs, mut discovery, mut endpoints) = (Vec::new(), None, Vec::new());
        if let Some(oauth) = &entry.oauth {
            let given = oauth.inputs.iter().filter(|(_, input)| input.from == InputFrom::Caller);
            inputs.extend(given.map(|(name, _)| name.clone()));
            let resolved = discover(oauth, egress).await;
            discovery = resolved.as_ref().map(|found| match found {
                Ok(_) => Ok(oauth.issuer.clone().unwrap_or_default()),
                Err(error) => Err(error.clone()),
            });
            let whole = resolved.and_then(Result::ok);
            for (name, url) in urls(whole.as_ref().unwrap_or(oauth)) {
                endpoints.push(if name == TOKEN {
                    token_request(url, egress).await
                } else {
                    request(name, url, egress).await
                });
            }
        }
        match entry.mcp.as_ref().map(|mcp| &mcp.server_url) {
            Some(Some(server)) => discovery = Some(discover_mcp(server, egress).await),
            Some(None) => inputs.push(Mcp::INPUT.to_owned()),
            None => {}
        }
        let (client, discovery) = (client(&self.config, provider), discovery.map(ConfigurationCheck::from));
        let failed = [&client, &discovery].into_iter().flatten().filter(|check| !check.ok).count();
        let unreachable = endpoints.iter().filter(|endpoint| endpoint.error.is_some()).count();
        ProviderReport {
            name: provider.name.to_string(),
            display_name: entry.display_name.clone(),
            kinds: kinds(provider),
            client,
            redirect_uris: if connects { redirect_uris(&self.config, provider, &path) } else { Vec::new() },
            loopback_redirect_uri: connects.then(|| format!("http://127.0.0.1{path}")),
            inputs,
            discovery,
            endpoints,
            problems: failed + unreachable,
        }
    }
}

/// Completes the entry by discovery; `None` if it needs none.
async fn discover(oauth: &OAuth, egress: &Egress) -> Option<Result<OAuth, String>> {
    let issuer = oauth.issuer.as_ref().filter(|_| oauth.discovers())?;
    let resolved = match Metadata::fetch(egress, issuer).await {
        Ok(metadata) => resolve(oauth, &metadata, &Client::anonymous(Clock::system(), Random)),
        Err(error) => Err(error),
    };
    Some(resolved.map_err(|error| error.to_string()))
}

/// Looks up an MCP server's authorization server and its metadata.
async fn discover_mcp(server: &Endpoint, egress: &Egress) -> Result<String, String> {
    let resource = ProtectedResource::find(egress, server).await.map_err(|error| error.to_string())?;
    let issuer = resource.authorization_servers.first().ok_or("the server names no authorization server")?;
    Metadata::fetch(egress, issuer).await.map_err(|error| error.to_string())?;
    Ok(issuer.clone())
}

/// Checks the client configuration; `None` if no client is needed.
fn client(config: &Config, provider: &Provider) -> Option<ConfigurationCheck> {
    if let Some(missing) = missing(config, provider) {
        return Some(Err(format!("MISSING: {missing}")).into());
    }
    let settings = config.providers.get(&provider.name)?;
    let faults: Vec<String> = settings
        .secret_sources()
        .filter_map(|(_, source)| config.secrets.read(source).err())
        .map(|fault| format!("cannot read its secret: {fault}"))
        .collect();
    match &faults[..] {
        [] if provider.entry.oauth.is_none() && settings.client_id.is_none() => None,
        [] => Some(Ok("ok".to_owned()).into()),
        faults => Some(Err(faults.join("; ")).into()),
    }
}

/// Returns the configured redirect URIs with the provider's name in their path, else one for each
/// allowed origin.
fn redirect_uris(config: &Config, provider: &Provider, path: &str) -> Vec<String> {
    let is_own = |uri: &&String| {
        let parsed = Url::parse(uri).ok();
        parsed.is_some_and(|url| url.path().split('/').any(|part| part == provider.name.as_str()))
    };
    let own: Vec<String> = config.oauth.redirect_uris.iter().filter(is_own).cloned().collect();
    if !own.is_empty() {
        return own;
    }
    let origins = config.oauth.callback_origins.list();
    origins.into_iter().map(|origin| format!("{origin}{path}")).collect()
}

fn urls(oauth: &OAuth) -> Vec<(&'static str, Url)> {
    let written = [
        ("authorize", Some(&oauth.authorize_url)),
        (TOKEN, Some(&oauth.token_url)),
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

async fn request(name: &'static str, url: Url, egress: &Egress) -> EndpointCheck {
    let (method, headers) = (Method::HEAD, HeaderMap::new());
    let shown = url.to_string();
    let sent = egress.send(EgressRequest { method, url, headers, body: None, chosen: false }).await;
    EndpointCheck::of(name, shown, sent, |_| None)
}

/// Sends a POST without parameters, because token endpoints often answer other methods with 404.
async fn token_request(url: Url, egress: &Egress) -> EndpointCheck {
    let content_type = (CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    let headers = HeaderMap::from_iter([content_type]);
    let shown = url.to_string();
    let body = Some(Zeroizing::new(Vec::new()));
    let sent = egress.send(EgressRequest { method: Method::POST, url, headers, body, chosen: false }).await;
    EndpointCheck::of(TOKEN, shown, sent, |answer| {
        let allowed = answer.headers.get(ALLOW).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match answer.status {
            StatusCode::NOT_FOUND => Some("it answers POST with 404, so it is no token endpoint".to_owned()),
            StatusCode::METHOD_NOT_ALLOWED if !allowed.to_ascii_uppercase().contains("POST") => {
                Some(format!("it takes no POST (405, Allow: {allowed}), so it is no token endpoint"))
            }
            _ => None,
        }
    })
}

impl EndpointCheck {
    fn of(
        name: &'static str,
        url: String,
        sent: Result<EgressResponse, EgressError>,
        fault: impl Fn(&EgressResponse) -> Option<String>,
    ) -> Self {
        let (status, error) = match sent {
            Ok(answer) => (Some(answer.status.as_u16()), fault(&answer)),
            Err(error) => (None, Some(error.to_string())),
        };
        Self { name, url, status, error }
    }
}
