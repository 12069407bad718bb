//! The egress client: all outbound requests go through it, within limits and the address guard.
//!
//! A provider may be hostile, and its URLs may come from a customer. Redirects, proxies and cookies
//! are off. The limits are 5 s to connect, 15 s in total and 1 MiB of decoded response. Only
//! `https` is allowed, and `http` to loopback addresses that the configuration allows. A connection
//! is made only to an address that the guard has checked.

mod address;
mod connector;
mod dialer;
mod error;
mod guard;
mod lookup_threads;
mod message;
mod resolver;
mod response;
mod streaming;
mod tls;
mod tunnel;

#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use ipnet::IpNet;
use rustls::ClientConfig;
use tokio::net::TcpStream;

pub use error::{AddressRefusal, AuthorityFileError, EgressError, EgressSetupError, NotSent, TunnelError};
pub use lookup_threads::{on_behalf_of, owner};
pub use message::{BoxError, EgressLimits, EgressRequest, EgressResponse};
pub use resolver::{Addresses, Lookup, system as system_resolver};
pub use streaming::{MAX_SOCKETS, StreamBody};
pub use tls::check_authorities;
pub use tunnel::EgressProxy;

use connector::Connector;
use guard::Guard;
use message::LIMITS;
use streaming::{StreamState, StreamingClient};

/// The outbound client. Cheap to clone; clones share connections and limits.
///
/// Two kinds of URLs have separate rules and connections: `egress.allow` covers those that the
/// catalogue or the operator fixes. Those that a caller, or a server that a caller chose, names are
/// covered by the networks of [`Egress::with_providers`] alone. Requests without a secret go to hosts that
/// callers name, and `egress.allow` covers those too.
#[derive(Clone)]
pub struct Egress {
    fixed: Arc<Connector>,
    chosen: Arc<Connector>,
    /// Connectors of the providers that have authorities or private networks of their own.
    own: Arc<BTreeMap<String, OwnConnectors>>,
    /// True if every URL counts as chosen.
    all_chosen: bool,
    shared: Arc<Shared>,
    /// Opens connections to hosts without a credential.
    unmatched: Arc<StreamingClient>,
}

/// What one provider has for itself.
#[derive(Clone, Copy, Debug)]
pub struct ProviderEgress<'s> {
    /// The name of the provider.
    pub name: &'s str,
    /// Networks that are not public, where its chosen URLs may be.
    pub allow_private: &'s [IpNet],
    /// PEM file with authorities that are trusted for its requests alone.
    pub ca: Option<&'s Path>,
}

struct OwnConnectors {
    fixed: Arc<Connector>,
    chosen: Arc<Connector>,
}

/// What the connectors have in common.
struct Shared {
    allow: Vec<IpNet>,
    ca_certificates: Vec<PathBuf>,
    /// Resolves fixed hosts.
    fixed_lookup: resolver::Lookup,
    /// Resolves chosen hosts.
    chosen_lookup: resolver::Lookup,
    limits: EgressLimits,
    streams: Arc<StreamState>,
    proxy: Option<Arc<EgressProxy>>,
}

impl Shared {
    /// Returns the TLS settings, with the authorities of one provider.
    fn tls(&self, own: Option<(String, &Path)>) -> Result<ClientConfig, EgressSetupError> {
        let all = self.ca_certificates.iter().map(|path| ("egress.ca_certificates".to_owned(), path.as_path()));
        tls::client_config(tls::roots(all.chain(own))?)
    }

    fn fixed(&self, tls: ClientConfig) -> Result<Arc<Connector>, EgressSetupError> {
        let guard = Guard::new(&self.allow, AddressRefusal::Address);
        self.connector(guard, tls, &self.fixed_lookup)
    }

    fn chosen(&self, allow: &[IpNet], tls: ClientConfig) -> Result<Arc<Connector>, EgressSetupError> {
        let guard = Guard::new(allow, AddressRefusal::ChosenAddress);
        self.connector(guard, tls, &self.chosen_lookup)
    }

    fn connector(
        &self,
        guard: Guard,
        tls: ClientConfig,
        lookup: &resolver::Lookup,
    ) -> Result<Arc<Connector>, EgressSetupError> {
        Connector::new(guard, tls, &self.limits, Arc::clone(lookup), &self.streams, self.proxy.as_ref()).map(Arc::new)
    }
}

impl Shared {
    fn unmatched(&self, allow: &[IpNet], tls: ClientConfig) -> Arc<StreamingClient> {
        let guard = Arc::new(Guard::new(allow, AddressRefusal::UnmatchedAddress).with_plain_http());
        let lookup = Arc::clone(&self.chosen_lookup);
        Arc::new(StreamingClient::new(
            &guard,
            lookup,
            tls,
            self.limits.stream_connect,
            &self.streams,
            self.proxy.as_ref(),
        ))
    }
}

impl Egress {
    /// Creates a client that may reach public addresses and, at fixed URLs, those in `allow`. It
    /// trusts Mozilla's roots and the certificates in the PEM files `ca_certificates`. Streaming
    /// requests may take `stream_connect` to connect. What `allow` does not cover goes through
    /// `proxy`.
    ///
    /// Takes less than a millisecond and uses no network.
    pub fn new(
        allow: &[IpNet],
        ca_certificates: &[PathBuf],
        stream_connect: Duration,
        proxy: Option<EgressProxy>,
    ) -> Result<Self, EgressSetupError> {
        let limits = EgressLimits { stream_connect, ..LIMITS };
        Self::build((allow, ca_certificates), limits, (resolver::system(), lookup_threads::system()), proxy)
    }

    /// Creates a client with other limits and another resolver, for tests. The guard stays.
    pub fn assemble(
        allow: &[IpNet],
        ca_certificates: &[PathBuf],
        limits: EgressLimits,
        lookup: resolver::Lookup,
        proxy: Option<EgressProxy>,
    ) -> Result<Self, EgressSetupError> {
        Self::build((allow, ca_certificates), limits, (Arc::clone(&lookup), lookup), proxy)
    }

    /// The lookups are for fixed and for chosen hosts.
    fn build(
        (allow, ca_certificates): (&[IpNet], &[PathBuf]),
        limits: EgressLimits,
        (fixed_lookup, chosen_lookup): (resolver::Lookup, resolver::Lookup),
        proxy: Option<EgressProxy>,
    ) -> Result<Self, EgressSetupError> {
        let (allow, ca_certificates, streams) = (allow.to_vec(), ca_certificates.to_vec(), Arc::default());
        let proxy = proxy.map(Arc::new);
        let shared = Shared { allow, ca_certificates, fixed_lookup, chosen_lookup, limits, streams, proxy };
        let tls = shared.tls(None)?;
        let (fixed, chosen) = (shared.fixed(tls.clone())?, shared.chosen(&[], tls.clone())?);
        let (unmatched, shared) = (shared.unmatched(&[], tls), Arc::new(shared));
        Ok(Self { fixed, chosen, own: Arc::default(), all_chosen: false, shared, unmatched })
    }

    /// Returns the client with what single providers have for themselves.
    ///
    /// # Errors
    /// A file with authorities that is unusable.
    pub fn with_providers<'s>(
        self,
        providers: impl IntoIterator<Item = ProviderEgress<'s>>,
    ) -> Result<Self, EgressSetupError> {
        let mut own = BTreeMap::new();
        for ProviderEgress { name, allow_private, ca } in providers {
            if allow_private.is_empty() && ca.is_none() {
                continue;
            }
            let tls = self.shared.tls(ca.map(|path| (format!("providers.{name}.ca"), path)))?;
            // Connections and TLS sessions are never shared between different roots.
            let fixed = if ca.is_some() { self.shared.fixed(tls.clone())? } else { self.fixed.clone() };
            let chosen = self.shared.chosen(allow_private, tls)?;
            own.insert(name.to_owned(), OwnConnectors { fixed, chosen });
        }
        Ok(Self { own: Arc::new(own), ..self })
    }

    /// Returns the client with the networks that are not public but that requests without a secret,
    /// and tunnels, may reach.
    ///
    /// # Errors
    /// A file with authorities that is unusable.
    pub fn with_unmatched(self, allow_private: &[IpNet]) -> Result<Self, EgressSetupError> {
        let unmatched = self.shared.unmatched(allow_private, self.shared.tls(None)?);
        Ok(Self { unmatched, ..self })
    }

    /// Returns the client for requests of one provider.
    #[must_use]
    pub fn of_provider(&self, name: &str) -> Self {
        let Some(OwnConnectors { fixed, chosen }) = self.own.get(name) else { return self.clone() };
        Self { fixed: fixed.clone(), chosen: chosen.clone(), ..self.clone() }
    }

    /// Returns the client for a server that a caller chose, if `chosen`: every URL counts as chosen
    /// then, also those in the server's own documents.
    #[must_use]
    pub fn at_chosen_server(self, chosen: bool) -> Self {
        Self { all_chosen: chosen, ..self }
    }

    /// Returns true if the request goes to a host that a caller, or a server that a caller chose,
    /// names.
    pub fn is_chosen(&self, host_is_chosen: bool) -> bool {
        self.all_chosen || host_is_chosen
    }

    /// Tells the client where this server listens, once: streaming requests are never sent there.
    pub fn set_own_listeners(&self, addresses: Vec<SocketAddr>) {
        self.shared.streams.own_listeners.set(addresses).ok();
    }

    /// Sends a request whose body is streamed, and returns the response with its body to be read.
    /// The URI is absolute. Only requests with the same `pool` share connections. `chosen` is true if
    /// a caller named the host.
    ///
    /// # Errors
    /// A rejection of the guard, or the failure to get the head of a response. Any status is `Ok`.
    pub async fn stream(
        &self,
        request: Request<StreamBody>,
        chosen: bool,
        pool: &str,
    ) -> Result<Response<Incoming>, EgressError> {
        self.connector(chosen).stream(request, pool).await
    }

    /// Sends a request that has no secret of ours to a host that a caller named, like
    /// [`Egress::stream`]. `http` is allowed.
    pub async fn stream_unmatched(
        &self,
        request: Request<StreamBody>,
        pool: &str,
    ) -> Result<Response<Incoming>, EgressError> {
        self.unmatched.send(request, pool).await
    }

    /// Opens a connection to a host that a caller named, for a tunnel. The caller of this function
    /// limits the number of tunnels.
    ///
    /// # Errors
    /// A rejection of the guard, or the failure to connect.
    pub async fn dial_unmatched(&self, host: &str, port: u16) -> Result<TcpStream, EgressError> {
        self.unmatched.dial(host, port).await
    }

    fn connector(&self, chosen: bool) -> &Connector {
        if self.is_chosen(chosen) { &self.chosen } else { &self.fixed }
    }

    /// Sends the request and reads the complete response.
    ///
    /// # Errors
    /// A rejection of the guard, or the failure to get a complete response. Any status is `Ok`.
    pub async fn send(&self, request: EgressRequest) -> Result<EgressResponse, EgressError> {
        let exchange = async { response::read(self.execute(request).await?, &self.shared.limits).await };
        // Connecting has its own, shorter limit, so at this limit the request has been
        // sent.
        tokio::time::timeout(self.shared.limits.total, exchange)
            .await
            .unwrap_or(Err(EgressError::TooSlow { sent: true }))
    }

    /// Sends the request and returns the response without its body, which may have no end: the
    /// connection is closed after the head.
    ///
    /// # Errors
    /// As for [`Egress::send`]; also if there is no head within `limit`.
    pub async fn send_for_head(&self, request: EgressRequest, limit: Duration) -> Result<EgressResponse, EgressError> {
        let exchange = async { response::head(self.execute(request).await?, &self.shared.limits) };
        tokio::time::timeout(limit, exchange).await.unwrap_or(Err(EgressError::TooSlow { sent: true }))
    }

    async fn execute(&self, request: EgressRequest) -> Result<reqwest::Response, EgressError> {
        self.connector(request.chosen).execute(request).await
    }
}
