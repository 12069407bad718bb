//! The sections of the configuration, one function each: which keys are read, and what each may hold.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::{Table, Value};
use url::Url;

use super::callback_origin::{CallbackOrigin, CallbackOrigins, LocalhostPorts};
use super::fault::Place;
use super::reader::Reader;
use super::secret_source::SecretSource;
use super::settings::{
    AuditSettings, EgressSettings, EntryPatch, OAuthSettings, ProviderSettings, ServerSettings, TlsFiles, Unlock,
    VaultSettings,
};
use crate::id::ProviderName;

const DAY: Duration = Duration::from_secs(86_400);
const MIB: u64 = 1 << 20;

pub(super) fn server(r: &mut Reader) -> Option<ServerSettings> {
    let (certificate, key) = (r.path("server.tls.certificate"), r.path("server.tls.key"));
    for (one, other) in [("certificate", "key"), ("key", "certificate")] {
        if r.is_written(&format!("server.tls.{one}")) && !r.is_written(&format!("server.tls.{other}")) {
            r.fault(&format!("server.tls.{one}"), format!("TLS needs both files; write server.tls.{other} too"));
        }
    }
    let listen = r.listen("server.listen");
    let base_path = r.parsed("server.base_path", base_path);
    let public_url = r.parsed("server.public_url", public_url);
    let trusted_proxies = r.networks("server.trusted_proxies");
    let shutdown_grace = r.duration("server.shutdown_grace", Duration::ZERO..=Duration::from_secs(3600));
    let max_connections = r.number("server.max_connections", 1..=1_000_000);
    Some(ServerSettings {
        listen: listen?,
        base_path: base_path?,
        public_url: public_url?,
        trusted_proxies,
        tls: certificate.zip(key).map(|(certificate, key)| TlsFiles { certificate, key }),
        shutdown_grace,
        max_connections,
    })
}

pub(super) fn vault(r: &mut Reader) -> Option<VaultSettings> {
    let path = r.path("vault.path");
    let unlock = unlock(r);
    let revoke_retry = r.duration("vault.revoke_retry", Duration::ZERO..=DAY * 365);
    let ballast = r.number("vault.ballast", 0..=1024) as u64 * MIB;
    let epoch_file = r.path("vault.epoch_file");
    let verify_every = r.duration("vault.verify_every", Duration::ZERO..=DAY * 365);
    Some(VaultSettings {
        path: path?,
        unlock: unlock?,
        revoke_retry,
        ballast,
        verify_every,
        epoch_file,
        accept_rollback: false,
    })
}

fn unlock(r: &mut Reader) -> Option<Unlock> {
    if r.value("vault.passphrase").is_none() {
        return r.secret("vault.master_key").map(Unlock::MasterKey);
    }
    if r.is_written("vault.master_key") {
        r.fault(
            "vault.passphrase",
            "the vault is opened by vault.master_key or by vault.passphrase; take one of them out",
        );
    }
    match r.value("vault.passphrase").and_then(Value::as_str) {
        Some("prompt") => Some(Unlock::Prompt),
        Some("stdin") => Some(Unlock::Stdin),
        _ => r.secret("vault.passphrase").map(Unlock::Passphrase),
    }
}

pub(super) fn audit(r: &mut Reader) -> AuditSettings {
    let written = r.value("audit.retention").is_some();
    AuditSettings { retention: written.then(|| r.duration("audit.retention", DAY..=DAY * 36_500)) }
}

pub(super) fn oauth(r: &mut Reader) -> Option<OAuthSettings> {
    let origins = r.each("oauth.callback_origins", CallbackOrigin::parse_entry);
    let ports = r.parsed("oauth.localhost_ports", |text| match text {
        "any" => Ok(LocalhostPorts::Any),
        "exact" => Ok(LocalhostPorts::Exact),
        _ => Err("write \"any\" or \"exact\"".to_owned()),
    });
    let state_ttl = r.duration("oauth.state_ttl", Duration::from_secs(1)..=DAY);
    let require_iss = r.switch("oauth.require_iss");
    let device = r.switch("oauth.device");
    let background_refresh = r.switch("oauth.background_refresh");
    let callback_origins = CallbackOrigins::new(origins, ports?);
    let redirect_uris = r.each("oauth.redirect_uris", |text| match callback_origins.check(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(fault) => Err(format!("no login may return there: {fault}")),
    });
    Some(OAuthSettings { callback_origins, redirect_uris, state_ttl, require_iss, device, background_refresh })
}

pub(super) fn egress(r: &mut Reader) -> EgressSettings {
    EgressSettings { allow: r.networks("egress.allow"), ca_certificates: r.paths("egress.ca_certificates") }
}

pub(super) fn providers(r: &mut Reader) -> BTreeMap<ProviderName, ProviderSettings> {
    let names: Vec<ProviderName> = match r.value("providers") {
        Some(Value::Table(table)) => table.keys().filter_map(|name| name.parse().ok()).collect(),
        _ => Vec::new(),
    };
    names.into_iter().map(|name| (name.clone(), provider(r, &name))).collect()
}

fn provider(r: &mut Reader, name: &ProviderName) -> ProviderSettings {
    let section = format!("providers.{name}");
    let mut table: Table = r.value(&section).and_then(Value::as_table).cloned().unwrap_or_default();
    for ours in ["client_id", "client_secret", "client_secrets", "client_key", "client_key_id"] {
        table.remove(ours);
    }
    let within = format!("{section}.");
    let mut places: BTreeMap<String, Place> = (r.settings().places.iter())
        .filter_map(|(key, place)| Some((key.strip_prefix(&within)?.to_owned(), place.clone())))
        .collect();
    // A section that begins with a sub-section ([providers.acme.oauth]) has no line of its own.
    let first = r.settings().places.get(&section).cloned().or_else(|| places.values().min().cloned());
    places.extend(first.map(|place| (String::new(), place)));
    ProviderSettings {
        client_id: r.parsed(&format!("{within}client_id"), client_id),
        client_secrets: Vec::new(),
        client_secret_sources: client_secrets(r, &within),
        client_key: None,
        client_key_source: r.secret(&format!("{within}client_key")),
        client_key_id: r.parsed(&format!("{within}client_key_id"), client_id),
        entry: EntryPatch { table, places },
    }
}

/// The one secret, and the further ones: in the order in which they are tried.
fn client_secrets(r: &mut Reader, within: &str) -> Vec<(String, SecretSource)> {
    let one = r.secret(&format!("{within}client_secret")).map(|source| ("client_secret".to_owned(), source));
    let further = r.secrets(&format!("{within}client_secrets")).into_iter().enumerate();
    one.into_iter().chain(further.map(|(at, source)| (format!("client_secrets[{at}]"), source))).collect()
}

/// A client id: visible ASCII and spaces (RFC 6749 appendix A.1).
fn client_id(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.bytes().all(|c| (0x20..=0x7e).contains(&c)) {
        Ok(text.to_owned())
    } else {
        Err("a client id is not empty and has visible ASCII characters alone; copy it from the provider's page"
            .to_owned())
    }
}

fn base_path(text: &str) -> Result<String, String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
    let segments_are_named = || text.split('/').skip(1).all(|segment| !matches!(segment, "" | "." | ".."));
    if text.is_empty() || (text.starts_with('/') && text.chars().all(legal) && segments_are_named()) {
        Ok(text.to_owned())
    } else {
        Err("write a path with a slash before and none after it, such as \"/external-api\", or \"\" for none"
            .to_owned())
    }
}

fn public_url(text: &str) -> Result<Url, String> {
    let advice = "write for example \"https://strongroom.example.com\"";
    let mut url = Url::parse(text).map_err(|error| format!("this is no URL ({error}); {advice}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("the scheme is neither https nor http; {advice}"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(format!("it has user info, a query or a fragment; {advice}"));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}
