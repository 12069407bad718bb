//! The table of endpoints: method, path, state and number of requests of each.

use http::Method;
use tokio::sync::watch;

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
    /// The metadata document (RFC 8414).
    Metadata,
}

impl SandboxEndpoint {
    /// All endpoints.
    pub const ALL: [Self; 9] = [
        Self::Authorize,
        Self::Decision,
        Self::Token,
        Self::DeviceAuthorization,
        Self::Device,
        Self::DeviceDecision,
        Self::Userinfo,
        Self::Revoke,
        Self::Metadata,
    ];

    /// Returns the only method, and the path under [`super::Sandbox::base_url`].
    pub(super) fn route(self) -> (Method, &'static str) {
        match self {
            Self::Authorize => (Method::GET, "/authorize"),
            Self::Decision => (Method::POST, "/authorize/decision"),
            Self::Token => (Method::POST, "/token"),
            Self::DeviceAuthorization => (Method::POST, "/device_authorization"),
            Self::Device => (Method::GET, "/device"),
            Self::DeviceDecision => (Method::POST, "/device/decision"),
            Self::Userinfo => (Method::GET, "/userinfo"),
            Self::Revoke => (Method::POST, "/revoke"),
            Self::Metadata => (Method::GET, "/.well-known/oauth-authorization-server"),
        }
    }
}

/// State of one endpoint, to test a client's reaction to failures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conduct {
    /// The endpoint works.
    #[default]
    Normal,
    /// Every request is answered with 503 and has no effect.
    Down,
    /// Requests take effect, but their responses wait until the state changes.
    Held,
}

/// State and number of requests of each endpoint.
pub(super) struct EndpointStates(watch::Sender<[EndpointState; SandboxEndpoint::ALL.len()]>);

#[derive(Clone, Copy, Default)]
pub(super) struct EndpointState {
    pub(super) conduct: Conduct,
    pub(super) requests: u64,
}

impl EndpointStates {
    pub(super) fn new() -> Self {
        Self(watch::Sender::default())
    }

    pub(super) fn of(&self, endpoint: SandboxEndpoint) -> EndpointState {
        self.0.borrow()[endpoint as usize]
    }

    pub(super) fn change(&self, endpoint: SandboxEndpoint, change: impl FnOnce(&mut EndpointState)) {
        self.0.send_modify(|states| change(&mut states[endpoint as usize]));
    }

    /// Waits until the responses of this endpoint are not held.
    pub(super) async fn released(&self, endpoint: SandboxEndpoint) {
        let mut states = self.0.subscribe();
        // An error means that the sender is gone, so that no one can release the endpoint.
        let _ = states.wait_for(|states| states[endpoint as usize].conduct != Conduct::Held).await;
    }
}
