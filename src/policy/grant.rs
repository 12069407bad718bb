//! Grants: requests that an API key may, or must not, send with which credentials.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use http::Method;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::destination::Destination;
use super::glob::PathPattern;
use super::host_pattern::HostPattern;
use super::path::CanonicalPath;
use super::rate::Rate;
use crate::clock::UnixTime;
use crate::id::{ApiKeyId, CredentialId, GrantId, ProviderName};

/// One row of an API key's table of grants. An empty list matches everything that the key may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyGrant {
    /// The id.
    pub id: GrantId,
    /// The key.
    pub key: ApiKeyId,
    /// Allows or denies.
    pub effect: Effect,
    /// Providers of the credential.
    pub providers: Vec<ProviderName>,
    /// Credentials.
    pub credentials: Vec<CredentialId>,
    /// Hosts to which the request goes.
    pub hosts: Vec<HostPattern>,
    /// Methods. `GET` covers `HEAD`.
    pub methods: Vec<MethodRule>,
    /// Patterns of the path as the origin sees it.
    pub paths: Vec<PathPattern>,
}

/// The effect of a grant on the requests that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Refuses them. A deny has no expiry.
    Deny,
    /// Allows them.
    Allow(AllowTerms),
}

/// The conditions of a grant that allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AllowTerms {
    /// The most requests in a period.
    pub rate: Option<Rate>,
    /// The time from which on the grant allows nothing.
    pub expires: Option<UnixTime>,
    /// Approval of each request by a person.
    pub approval: Approval,
}

/// Approval of requests by a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// The request is sent at once.
    #[default]
    Never,
    /// A person is asked for each request.
    Always,
}

/// The name of a method in a grant, in upper case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodRule(Method);

/// The text is not a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a method is a word in upper case, such as GET, POST or DELETE")]
pub struct MethodRuleError;

/// The facts of a request that grants look at. Path and destination are canonical.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'r> {
    /// The provider of the credential.
    pub provider: &'r ProviderName,
    /// The credential.
    pub credential: CredentialId,
    /// The destination.
    pub destination: &'r Destination,
    /// The method.
    pub method: &'r Method,
    /// The path as the origin sees it, without a secret in it.
    pub path: &'r CanonicalPath,
}

/// The first condition of a grant that a request does not meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The grant has expired.
    #[error("it has expired")]
    Expired,
    /// Another provider.
    #[error("the provider is not in it")]
    Provider,
    /// Another credential.
    #[error("the credential is not in it")]
    Credential,
    /// Another scheme, host or port.
    #[error("the host is not in it")]
    Host,
    /// Another method.
    #[error("the method is not in it")]
    Method,
    /// Another path.
    #[error("the path is not in it")]
    Path,
}

impl KeyGrant {
    /// Returns true if the grant refuses what it matches.
    pub fn is_deny(&self) -> bool {
        self.effect == Effect::Deny
    }

    /// Returns the conditions of a grant that allows.
    pub fn allowance(&self) -> Option<&AllowTerms> {
        match &self.effect {
            Effect::Deny => None,
            Effect::Allow(allowance) => Some(allowance),
        }
    }

    /// Returns the first condition that the request does not meet; `None` if the grant matches.
    pub fn mismatch(&self, request: &RequestFacts<'_>, now: UnixTime) -> Option<Mismatch> {
        let expires = self.allowance().and_then(|allowance| allowance.expires);
        let conditions = [
            (expires.is_none_or(|expires| now < expires), Mismatch::Expired),
            (matches_any(&self.providers, |provider| provider == request.provider), Mismatch::Provider),
            (matches_any(&self.credentials, |id| *id == request.credential), Mismatch::Credential),
            (matches_any(&self.hosts, |host| request.destination.fits(host)), Mismatch::Host),
            (matches_any(&self.methods, |method| method.covers(request.method)), Mismatch::Method),
            (matches_any(&self.paths, |pattern| self.covers_path(pattern, request.path)), Mismatch::Path),
        ];
        conditions.into_iter().find(|(is_met, _)| !is_met).map(|(_, mismatch)| mismatch)
    }

    /// An allow matches the path as it is. A deny also matches what an origin may read into it.
    fn covers_path(&self, pattern: &PathPattern, path: &CanonicalPath) -> bool {
        if self.is_deny() {
            path.readings().iter().any(|segments| pattern.matches(segments))
        } else {
            pattern.matches(path.segments())
        }
    }
}

/// Returns true for an empty list.
fn matches_any<T>(list: &[T], is_match: impl Fn(&T) -> bool) -> bool {
    list.is_empty() || list.iter().any(is_match)
}

impl MethodRule {
    /// Returns true if a request with this method matches. Letter case does not count, because some
    /// origins ignore it.
    pub fn covers(&self, method: &Method) -> bool {
        let is = |name: &str| method.as_str().eq_ignore_ascii_case(name);
        is(self.0.as_str()) || self.0 == Method::GET && is("HEAD")
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for MethodRule {
    type Err = MethodRuleError;

    fn from_str(text: &str) -> Result<Self, MethodRuleError> {
        let is_upper_case = text.len() <= 32 && !text.bytes().any(|byte| byte.is_ascii_lowercase());
        Method::from_bytes(text.as_bytes()).ok().filter(|_| is_upper_case).map(Self).ok_or(MethodRuleError)
    }
}

impl fmt::Display for MethodRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn method_rule_is_in_upper_case() {
        for text in ["GET", "DELETE", "M-SEARCH"] {
            assert_eq!(text.parse::<MethodRule>().unwrap().to_string(), text);
        }
        for text in ["", "get", "Get", "GET ", "GE T", "*", "G\u{c9}T", "A,B", &"X".repeat(33)] {
            assert_eq!(text.parse::<MethodRule>().is_err(), text != "*", "{text}");
        }
    }

    #[test]
    fn get_covers_head_and_every_letter_case() {
        let covers = |rule: &str, method: &str| {
            rule.parse::<MethodRule>().unwrap().covers(&Method::from_bytes(method.as_bytes()).unwrap())
        };
        assert!(covers("GET", "GET") && covers("GET", "HEAD") && covers("GET", "head"));
        assert!(covers("DELETE", "delete") && covers("DELETE", "Delete"));
        assert!(!covers("HEAD", "GET") && !covers("GET", "POST") && !covers("POST", "HEAD"));
    }
}
