//! The table of endpoints: path and method of each, how it conducts itself, and how often it was asked.

use std::sync::atomic::{AtomicU64, Ordering};

use http::Method;
use tokio::sync::watch;

use super::options::Conduct;

/// One endpoint of the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The authorization page (RFC 6749 §3.1).
    Authorize,
    /// Where its form goes.
    Decision,
    /// The token endpoint (RFC 6749 §3.2).
    Token,
    /// Where the device flow begins (RFC 8628 §3.1).
    DeviceAuthorization,
    /// The page for its user code.
    Device,
    /// Where that page's form goes.
    DeviceDecision,
    /// Whose account a token is for.
    Userinfo,
    /// Revocation (RFC 7009).
    Revoke,
    /// Introspection (RFC 7662).
    Introspect,
    /// The metadata document (RFC 8414).
    Metadata,
    /// The counters of this table, as JSON.
    Requests,
}

impl Endpoint {
    /// Every endpoint.
    pub const ALL: [Self; 11] = [
        Self::Authorize,
        Self::Decision,
        Self::Token,
        Self::DeviceAuthorization,
        Self::Device,
        Self::DeviceDecision,
        Self::Userinfo,
        Self::Revoke,
        Self::Introspect,
        Self::Metadata,
        Self::Requests,
    ];

    /// The path under [`super::Sandbox::base_url`].
    pub fn path(self) -> &'static str {
        match self {
            Self::Authorize => "/authorize",
            Self::Decision => "/authorize/decision",
            Self::Token => "/token",
            Self::DeviceAuthorization => "/device_authorization",
            Self::Device => "/device",
            Self::DeviceDecision => "/device/decision",
            Self::Userinfo => "/userinfo",
            Self::Revoke => "/revoke",
            Self::Introspect => "/introspect",
            Self::Metadata => "/.well-known/oauth-authorization-server",
            Self::Requests => "/sandbox/requests",
        }
    }

    /// The one method that it answers.
    pub(super) fn method(self) -> Method {
        match self {
            Self::Decision
            | Self::Token
            | Self::DeviceAuthorization
            | Self::DeviceDecision
            | Self::Revoke
            | Self::Introspect => Method::POST,
            Self::Authorize | Self::Device | Self::Userinfo | Self::Metadata | Self::Requests => Method::GET,
        }
    }
}

/// How often each endpoint was asked.
#[derive(Debug, Default)]
pub(super) struct RequestCounts([AtomicU64; Endpoint::ALL.len()]);

impl RequestCounts {
    pub(super) fn of(&self, endpoint: Endpoint) -> u64 {
        self.0[endpoint as usize].load(Ordering::SeqCst)
    }

    pub(super) fn add(&self, endpoint: Endpoint) {
        self.0[endpoint as usize].fetch_add(1, Ordering::SeqCst);
    }

    /// One member a path.
    pub(super) fn to_json(&self) -> serde_json::Value {
        let counted = |endpoint: Endpoint| (endpoint.path().to_owned(), serde_json::Value::from(self.of(endpoint)));
        Endpoint::ALL.into_iter().map(counted).collect()
    }
}

/// How each endpoint conducts itself.
#[derive(Debug)]
pub(super) struct Conducts(watch::Sender<[Conduct; Endpoint::ALL.len()]>);

impl Conducts {
    pub(super) fn normal() -> Self {
        Self(watch::Sender::new([Conduct::default(); Endpoint::ALL.len()]))
    }

    pub(super) fn of(&self, endpoint: Endpoint) -> Conduct {
        self.0.borrow()[endpoint as usize]
    }

    pub(super) fn set(&self, endpoint: Endpoint, conduct: Conduct) {
        self.0.send_modify(|conducts| conducts[endpoint as usize] = conduct);
    }

    /// Waits until the answers of this endpoint are not held back.
    pub(super) async fn released(&self, endpoint: Endpoint) {
        let mut conducts = self.0.subscribe();
        // An error means that the sender is gone, and with it whoever could release anything.
        let _ = conducts.wait_for(|conducts| conducts[endpoint as usize] != Conduct::Held).await;
    }
}
