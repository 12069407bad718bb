//! Warnings about settings that work and are not advisable.

use super::callback_origin::is_loopback;
use super::finding::{Finding, Location};
use super::secret_source::SecretSource;
use super::settings::Config;
use crate::egress::EgressProxy;
use ipnet::IpNet;
use std::net::IpAddr;

pub(super) fn of(config: &Config, location: impl Fn(&str) -> Location) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut warn = |key: &str, message: String| found.push(Finding::new(location(key), key, message));
    let server = &config.server;
    let is_public = server.public_url.host().is_some_and(|host| !is_loopback(&host));

    for (key, source) in config.secret_sources() {
        if matches!(source, SecretSource::Inline(_)) {
            warn(
                &key,
                "the secret is in the configuration file; write { file = \"…\" } or another source instead".into(),
            );
        }
        if let Some(message) = config.secrets.mode_warning(source) {
            warn(&key, message);
        }
    }
    if is_public && server.public_url.scheme() == "http" {
        warn(
            "server.public_url",
            "plain http shows every key and token to anyone who can read the network; use https".into(),
        );
    }
    if server.listen.is_open() && server.tls.is_none() && server.trusted_proxies.is_empty() {
        warn(
            "server.listen",
            "the server is open to the network without TLS; set server.tls, or listen on a loopback address behind a \
             reverse proxy and name it in server.trusted_proxies"
                .into(),
        );
    }
    if is_public && config.oauth.callback_origins.opens_every_localhost_port() {
        warn(
            "oauth.callback_origins",
            "logins of this public server may return to any port of localhost; set oauth.localhost_ports = \"exact\", \
             or take the origin out"
                .into(),
        );
    }
    if config.egress.proxy.as_ref().is_some_and(EgressProxy::has_password) && config.egress.proxy_password.is_none() {
        warn(
            "egress.proxy",
            "the password is in the configuration file; write it as egress.proxy_password = { file = \"…\" }".into(),
        );
    }
    for network in &config.egress.allow {
        if let Some(danger) = danger(network) {
            warn("egress.allow", format!("{network} {danger}: internal addresses are not guarded any more"));
        }
    }
    for network in &config.proxy.allow_private {
        if let Some(danger) = danger(network) {
            warn("proxy.allow_private", format!("{network} {danger}: API keys reach it without a credential"));
        }
    }
    for (name, provider) in &config.providers {
        for network in &provider.allow_private {
            if let Some(danger) = danger(network) {
                let key = format!("providers.{name}.allow_private");
                warn(&key, format!("{network} {danger}: callers reach it through this provider"));
            }
        }
        if provider.client_id.is_none() && provider.has_client_secret() {
            let key = format!("providers.{name}.client_secret");
            warn(&key, format!("a secret needs a client id; write providers.{name}.client_id too"));
        }
    }
    for (key, needs) in without_effect(config) {
        warn(&key, format!("this setting has no effect without {needs}"));
    }
    found
}

/// Returns the settings that do nothing as the configuration is, each with what it needs.
fn without_effect(config: &Config) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (name, provider) in &config.providers {
        let mut needs = |key: &str, other: &str| {
            found.push((format!("providers.{name}.{key}"), format!("providers.{name}.{other}")));
        };
        if provider.lend_scopes.is_some() && !provider.lend_client {
            needs("lend_scopes", "lend_client = true");
        }
        if provider.client_key_id.is_some() && provider.client_key_source.is_none() {
            needs("client_key_id", "client_key");
        }
    }
    found
}

/// Addresses at which clouds give a machine its credentials.
const METADATA_SERVICES: [&str; 2] = ["169.254.169.254", "fd00:ec2::254"];

/// Returns the danger of allowing this network, if it has one: it is much larger than a private
/// network, or reaches a cloud's metadata service.
fn danger(network: &IpNet) -> Option<String> {
    let widest = match network {
        IpNet::V4(_) => 8,
        IpNet::V6(_) => 7,
    };
    if network.prefix_len() == 0 {
        return Some("is every address".to_owned());
    }
    if network.prefix_len() < widest {
        return Some("is larger than any private network".to_owned());
    }
    let reached = METADATA_SERVICES.into_iter().find(|text| text.parse().is_ok_and(|at: IpAddr| network.contains(&at)));
    reached.map(|address| {
        format!("has the metadata service of clouds ({address}), which gives out the machine's credentials")
    })
}
