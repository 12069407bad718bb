//! `[trusted_issuers.NAME]`: whose access tokens callers may present in place of an API key.

use std::collections::BTreeMap;

use toml::Value;
use url::Url;

use super::reader::Reader;
use super::settings::{ToldBy, TrustedIssuer};
use crate::id::IssuerName;
use crate::jose::Algorithm;
use crate::permission::{Permission, Permissions};

pub(super) fn trusted_issuers(r: &mut Reader) -> BTreeMap<IssuerName, TrustedIssuer> {
    let names: Vec<String> = match r.value("trusted_issuers") {
        Some(Value::Table(table)) => table.keys().cloned().collect(),
        _ => Vec::new(),
    };
    let mut read = BTreeMap::new();
    for name in names {
        let section = format!("trusted_issuers.{name}");
        match name.parse::<IssuerName>() {
            Ok(name) => read.extend(trusted_issuer(r, &section).map(|issuer| (name, issuer))),
            Err(error) => r.fault(&section, error.to_string()),
        }
    }
    let mut seen: BTreeMap<&str, &IssuerName> = BTreeMap::new();
    for (name, issuer) in &read {
        if let Some(first) = seen.insert(&issuer.iss, name) {
            r.fault(
                &format!("trusted_issuers.{name}.issuer"),
                format!("this is the issuer of trusted_issuers.{first}; say it all there"),
            );
        }
    }
    read
}

fn trusted_issuer(r: &mut Reader, section: &str) -> Option<TrustedIssuer> {
    let key = |name: &str| format!("{section}.{name}");
    for name in ["issuer", "audience"] {
        if r.value(&key(name)).is_none() {
            r.fault(section, format!("{name} is missing; write {} = …", key(name)));
        }
    }
    let issuer = r.parsed(&key("issuer"), |text| Ok((issuer_url(text)?, text.to_owned())));
    let audience = r.each(&key("audience"), not_empty);
    if r.is_written(&key("audience")) && audience.is_empty() {
        r.fault(
            &key("audience"),
            "name at least one audience: a token for somebody else's service is none for this one",
        );
    }
    let mut algorithms = r.each(&key("algorithms"), algorithm);
    if algorithms.is_empty() {
        algorithms = vec![Algorithm::Rs256, Algorithm::Es256];
    }
    let told_by = r.parsed(&key("access_token_claim"), told_by).unwrap_or(ToldBy::Type);
    let permissions = r.each(&key("permissions"), permission).into_iter().collect();
    let mut claim_permissions: BTreeMap<String, Permissions> = BTreeMap::new();
    for (value, permission) in r.each(&key("claim_permissions"), claim_permission) {
        let known = claim_permissions.entry(value).or_default();
        *known = known.iter().chain([permission]).collect();
    }
    let text = |r: &mut Reader, name: &str, default: &str| {
        r.parsed(&key(name), not_empty).unwrap_or_else(|| default.to_owned())
    };
    let (issuer, iss) = issuer?;
    Some(TrustedIssuer {
        issuer,
        iss,
        audience,
        algorithms,
        told_by,
        user_claim: text(r, "user_claim", "sub"),
        user_prefix: r.parsed(&key("user_prefix"), user_prefix).unwrap_or_default(),
        permissions,
        permissions_claim: text(r, "permissions_claim", "scope"),
        claim_permissions,
    })
}

fn not_empty(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("this is empty; write a text".to_owned()) } else { Ok(text.to_owned()) }
}

/// An issuer identifier (RFC 8414 §2): https, or http for loopback, which egress guards; no query, no fragment.
fn issuer_url(text: &str) -> Result<Url, String> {
    let advice = "write the issuer as the provider's metadata have it, such as \"https://login.example.com\"";
    let url = Url::parse(text).map_err(|error| format!("this is no URL ({error}); {advice}"))?;
    let plain =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    if plain && matches!(url.scheme(), "https" | "http") && url.has_host() {
        Ok(url)
    } else {
        Err(format!("an issuer has a scheme, a host and perhaps a path; {advice}"))
    }
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    let known = || Algorithm::ALL.map(Algorithm::name).join(", ");
    text.parse().map_err(|_| format!("this algorithm is not taken; there are {}", known()))
}

fn told_by(text: &str) -> Result<ToldBy, String> {
    match text.split_once('=').map(|(claim, value)| (claim.trim(), value.trim())) {
        Some((claim, value)) if !claim.is_empty() && !value.is_empty() => {
            Ok(ToldBy::Claim(claim.to_owned(), value.to_owned()))
        }
        _ => Err("write the claim and its value, such as \"token_use=access\"".to_owned()),
    }
}

fn user_prefix(text: &str) -> Result<String, String> {
    if format!("{text}x").parse::<crate::id::UserId>().is_ok() {
        Ok(text.to_owned())
    } else {
        Err(crate::id::IdError::UserId.to_string())
    }
}

fn permission(text: &str) -> Result<Permission, String> {
    text.parse::<Permission>().map_err(|error| error.to_string())
}

fn claim_permission(text: &str) -> Result<(String, Permission), String> {
    match text.rsplit_once('=').map(|(value, name)| (value.trim(), name.trim())) {
        Some((value, name)) if !value.is_empty() => Ok((value.to_owned(), permission(name)?)),
        _ => Err("write a value of the claim and the permission that it stands for, such as \"vault:read=READ_INTEGRATIONS\"".to_owned()),
    }
}
