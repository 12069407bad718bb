//! TCP connections within the guard's rules: directly, or through the egress proxy. Every connection
//! for a streaming request or a tunnel is opened here. The way of all others is decided here.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::error::AddressRefusal;
use super::guard::{Guard, is_localhost, is_private_name};
use super::message::BoxError;
use super::resolver::{Lookup, checked};
use super::tunnel::EgressProxy;

/// The way of one connection.
pub(super) enum EgressRoute {
    Direct,
    Proxy(Arc<EgressProxy>),
}

/// Opens TCP connections. The guard has checked the URI.
#[derive(Clone)]
pub(super) struct TcpDialer {
    direct: HttpConnector<GuardedNames>,
    names: GuardedNames,
    proxy: Option<Arc<EgressProxy>>,
    /// Addresses at which this server listens; unset for requests that may go there.
    own_listeners: Arc<OnceLock<Vec<SocketAddr>>>,
}

impl TcpDialer {
    pub(super) fn new(
        guard: &Arc<Guard>,
        lookup: Lookup,
        proxy: Option<Arc<EgressProxy>>,
        own_listeners: Arc<OnceLock<Vec<SocketAddr>>>,
    ) -> Self {
        let names = GuardedNames { guard: Arc::clone(guard), lookup };
        let mut direct = HttpConnector::new_with_resolver(names.clone());
        direct.enforce_http(false);
        direct.set_nodelay(true);
        Self { direct, names, proxy, own_listeners }
    }

    async fn open(mut self, uri: Uri) -> Result<TokioIo<TcpStream>, BoxError> {
        let host = uri.host().ok_or(AddressRefusal::NoHost)?;
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 });
        match self.route(host, port).await? {
            EgressRoute::Direct => self.dial(uri).await,
            EgressRoute::Proxy(proxy) => Ok(TokioIo::new(proxy.connect(&format!("{host}:{port}")).await?)),
        }
    }

    /// Dials, and checks the address that was dialled before anything is sent to it.
    async fn dial(&mut self, uri: Uri) -> Result<TokioIo<TcpStream>, BoxError> {
        let stream = self.direct.call(uri).await?;
        let peer = stream.inner().peer_addr()?;
        self.names.guard.check_address(peer.ip())?;
        self.check_loop(peer)?;
        Ok(stream)
    }

    fn check_loop(&self, peer: SocketAddr) -> Result<(), AddressRefusal> {
        let is_own = |own: &Vec<SocketAddr>| own.iter().any(|own| is_at(*own, peer));
        if self.own_listeners.get().is_some_and(is_own) { Err(AddressRefusal::Loop) } else { Ok(()) }
    }

    /// Decides the way to a host. The proxy resolves names, so the guard checks here what it can
    /// without an address. What a list of networks covers is dialled directly.
    pub(super) async fn route(&self, host: &str, port: u16) -> Result<EgressRoute, BoxError> {
        let Some(proxy) = &self.proxy else { return Ok(EgressRoute::Direct) };
        let (guard, host) = (&self.names.guard, host.trim_matches(['[', ']']));
        if let Ok(ip) = host.parse::<IpAddr>() {
            guard.check_address(ip)?;
            self.check_loop(SocketAddr::new(ip, port))?;
            return Ok(if guard.lists(ip) { EgressRoute::Direct } else { EgressRoute::Proxy(Arc::clone(proxy)) });
        }
        if is_localhost(host) {
            return Ok(EgressRoute::Direct);
        }
        // A name that cannot be resolved here may still have an address for the proxy.
        if guard.has_list()
            && let Ok(found) = (self.names.lookup)(host.to_owned()).await
            && !found.is_empty()
        {
            if found.iter().any(|ip| guard.lists(*ip)) {
                return Ok(EgressRoute::Direct);
            }
            if found.iter().all(|ip| guard.check_address(*ip).is_err()) {
                return Err(guard.refusal().into());
            }
        }
        if is_private_name(host) {
            return Err(guard.refusal().into());
        }
        if self.own_listeners.get().is_some() && proxy.is_own(host, port) {
            return Err(AddressRefusal::Loop.into());
        }
        Ok(EgressRoute::Proxy(Arc::clone(proxy)))
    }
}

impl Service<Uri> for TcpDialer {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().open(uri))
    }
}

/// Resolves names to addresses that the guard admits. It is asked for every connection, so a name
/// that resolves differently later (DNS rebinding) is checked again.
#[derive(Clone)]
struct GuardedNames {
    guard: Arc<Guard>,
    lookup: Lookup,
}

impl Service<Name> for GuardedNames {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (guard, lookup) = (Arc::clone(&self.guard), Arc::clone(&self.lookup));
        Box::pin(async move { Ok(checked(&guard, &lookup, name.as_str()).await?.into_iter()) })
    }
}

/// Returns true if a connection to `peer` arrives at this listener.
fn is_at(own: SocketAddr, peer: SocketAddr) -> bool {
    let (ip, peer_ip) = (own.ip().to_canonical(), peer.ip().to_canonical());
    own.port() == peer.port() && (ip == peer_ip || ip.is_unspecified() && is_of_this_machine(peer_ip))
}

/// Returns true if this machine has the address: only then a socket can be bound to it.
fn is_of_this_machine(ip: IpAddr) -> bool {
    ip.is_loopback() || std::net::UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_listeners_are_recognised() {
        let at = |own: &str, peer: &str| is_at(own.parse().unwrap(), peer.parse().unwrap());
        assert!(at("127.0.0.1:8080", "127.0.0.1:8080") && at("127.0.0.1:8080", "[::ffff:127.0.0.1]:8080"));
        assert!(at("0.0.0.0:8080", "127.0.0.2:8080") && at("[::]:8080", "[::1]:8080"));
        assert!(!at("127.0.0.1:8080", "127.0.0.1:8081") && !at("0.0.0.0:8080", "192.0.2.1:8080"));
    }
}
