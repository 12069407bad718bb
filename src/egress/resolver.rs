//! Name resolution: only addresses that the guard has checked are used.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::error::NameUnknown;
use super::guard::{Guard, is_localhost};
use super::message::BoxError;

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
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Arc::clone(&self.guard);
        let lookup = Arc::clone(&self.lookup);
        Box::pin(async move { Ok(Box::new(checked(&guard, &lookup, name.as_str()).await?.into_iter()) as Addrs) })
    }
}

/// Returns the addresses of a name that the guard admits, with port 0, and fails if there is no
/// such address. A `localhost` with both `::1` and `127.0.0.1` works if only the latter is allowed.
pub(super) async fn checked(guard: &Guard, lookup: &Lookup, name: &str) -> Result<Vec<SocketAddr>, BoxError> {
    let found = if is_localhost(name) {
        vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
    } else {
        lookup(name.to_owned()).await.map_err(|_| NameUnknown)?
    };
    if found.is_empty() {
        return Err(NameUnknown.into());
    }
    let checked: Vec<SocketAddr> =
        found.into_iter().filter(|ip| guard.check_address(*ip).is_ok()).map(|ip| SocketAddr::new(ip, 0)).collect();
    if checked.is_empty() { Err(guard.refusal().into()) } else { Ok(checked) }
}
