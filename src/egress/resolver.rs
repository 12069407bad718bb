//! Name resolution: only addresses that the guard has checked are used.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::guard::{Guard, is_localhost};

/// Looks up the addresses of a name.
pub type Lookup = Arc<dyn Fn(String) -> Addresses + Send + Sync>;

/// The future addresses.
pub type Addresses = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Returns the operating system's resolver.
pub fn system() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    })
}

/// The resolver of the HTTP client; returns checked addresses only. It is asked for every
/// connection, so a name that resolves differently later (DNS rebinding) is checked again.
pub(super) struct GuardedResolver {
    guard: Arc<Guard>,
    lookup: Lookup,
}

impl GuardedResolver {
    pub(super) fn new(guard: Arc<Guard>, lookup: Lookup) -> Self {
        Self { guard, lookup }
    }
}

impl Resolve for GuardedResolver {
    /// Keeps the allowed addresses, and fails if there are none. A `localhost` with both `::1`
    /// and `127.0.0.1` works if only the latter is allowed.
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Arc::clone(&self.guard);
        let lookup = Arc::clone(&self.lookup);
        Box::pin(async move {
            let found = if is_localhost(name.as_str()) {
                vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
            } else {
                lookup(name.as_str().to_owned()).await?
            };
            if found.is_empty() {
                return Err(io::Error::from(io::ErrorKind::NotFound).into());
            }
            let checked: Vec<SocketAddr> = found
                .into_iter()
                .filter(|ip| guard.check_address(*ip).is_ok())
                .map(|ip| SocketAddr::new(ip, 0))
                .collect();
            if checked.is_empty() {
                return Err(guard.refusal().into());
            }
            Ok(Box::new(checked.into_iter()) as Addrs)
        })
    }
}
