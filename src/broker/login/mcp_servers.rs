//! Memory cache of the metadata of MCP servers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::catalog::value::Endpoint;
use crate::clock::{Clock, UnixTime};
use crate::egress::Egress;
use crate::oauth::{IssuerMetadata, ProtectedResource, ResourceError};

/// Maximum number of cached servers, because callers choose them.
const MOST_SERVERS: usize = 1000;

/// Metadata of MCP servers by URL.
#[derive(Default)]
pub(in crate::broker) struct McpServers(Mutex<BTreeMap<String, Arc<Server>>>);

/// Metadata of one server.
pub(in crate::broker) struct Server {
    pub(in crate::broker) resource: ProtectedResource,
    pub(in crate::broker) metadata: IssuerMetadata,
    pub(in crate::broker) at: UnixTime,
}

impl McpServers {
    pub(in crate::broker) fn known(&self, url: &str) -> Option<Arc<Server>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(url).cloned()
    }

    pub(in crate::broker) fn keep(&self, url: &str, server: Arc<Server>) {
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if servers.len() >= MOST_SERVERS && !servers.contains_key(url) {
            let oldest = servers.iter().min_by_key(|(_, server)| server.at).map(|(url, _)| url.clone());
            oldest.map(|url| servers.remove(&url));
        }
        servers.insert(url.to_owned(), server);
    }
}

impl Server {
    pub(in crate::broker) async fn ask(
        egress: &Egress,
        clock: &Clock,
        url: &Endpoint,
        issuer: Option<&str>,
    ) -> Result<Self, ResourceError> {
        let resource = ProtectedResource::find(egress, url).await?;
        // If there are several, take the one that our configured client is registered at, else the
        // first.
        let preferred = resource.authorization_servers.iter().find(|one| Some(one.as_str()) == issuer);
        let chosen =
            preferred.or(resource.authorization_servers.first()).ok_or(ResourceError::NoAuthorizationServer)?;
        let metadata = IssuerMetadata::new(chosen, egress.clone(), clock.clone());
        Ok(Self { resource, metadata, at: clock.now() })
    }
}
