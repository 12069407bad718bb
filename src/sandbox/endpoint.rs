//! The table of endpoints: path, method, state and number of requests of each.

use std::sync::atomic::{AtomicU64, Ordering};

use http::Method;
use tokio::sync::watch;

use super::options::Conduct;

/// An endpoint of the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SandboxEndpoint {
    /// The authorization page (RFC 6749 §3.1).
    Authorize,
    /// Target of its form.
    Decision,
    /// The token endpoint (RFC 6749 §3.2).
    Token,
    /// Device authorization (RFC 8628 §3.1).
    DeviceAuthorization,
    /// The page for the user code.
    Device,
    /// Target of that page's form.
    DeviceDecision,
    /// The account of an access token (OpenID Connect Core §5.3).
    Userinfo,
    /// Revocation (RFC 7009).
    Revoke,
    /// Introspection (RFC 7662).
    Introspect,
    /// The metadata document (RFC 8414).
    Metadata,
    /// Number of requests of each endpoint, as JSON.
    Requests,
}

impl SandboxEndpoint {
    /// All endpoints.
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

    /// The only method.
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

/// Number of requests of each endpoint.
#[derive(Debug, Default)]
pub(super) struct RequestCounts([AtomicU64; SandboxEndpoint::ALL.len()]);

impl RequestCounts {
    pub(super) fn of(&self, endpoint: SandboxEndpoint) -> u64 {
        self.0[endpoint as usize].load(Ordering::SeqCst)
    }

    pub(super) fn add(&self, endpoint: SandboxEndpoint) {
        self.0[endpoint as usize].fetch_add(1, Ordering::SeqCst);
    }

    /// Returns one member for each path.
    pub(super) fn to_json(&self) -> serde_json::Value {
        let counted =
            |endpoint: SandboxEndpoint| (endpoint.path().to_owned(), serde_json::Value::from(self.of(endpoint)));
        SandboxEndpoint::ALL.into_iter().map(counted).collect()
    }
}

/// State of each endpoint.
#[derive(Debug)]
pub(super) struct Conducts(watch::Sender<[Conduct; SandboxEndpoint::ALL.len()]>);

impl Conducts {
    pub(super) fn normal() -> Self {
        Self(watch::Sender::new([Conduct::default(); SandboxEndpoint::ALL.len()]))
    }

    pub(super) fn of(&self, endpoint: SandboxEndpoint) -> Conduct {
        self.0.borrow()[endpoint as usize]
    }

    pub(super) fn set(&self, endpoint: SandboxEndpoint, conduct: Conduct) {
        self.0.send_modify(|conducts| conducts[endpoint as usize] = conduct);
    }

    /// Waits until the responses of this endpoint are not held.
    pub(super) async fn released(&self, endpoint: SandboxEndpoint) {
        let mut conducts = self.0.subscribe();
        // An error means that the sender is gone, so that no one can release the endpoint.
        let _ = conducts.wait_for(|conducts| conducts[endpoint as usize] != Conduct::Held).await;
    }
}
