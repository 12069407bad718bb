//! `/v1/proxy/destinations` and `/v1/proxy/ca.pem`: descriptions of the proxy. Requests that the
//! proxy sends do not reach warp.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use utoipa::ToSchema;

use super::route::{Authorized, route};
use crate::broker::Caller;
use crate::http::json::{JsonReply, One, Pem};
use crate::http::problem::Problem;
use crate::id::{CredentialId, ProviderName};
use crate::permission::Permission::ProxyIntegrations;

route!(DESTINATIONS: GET "/v1/proxy/destinations", Some(ProxyIntegrations), OK, Cheap, Empty, [],
    "List the hosts to which this key can send requests", destinations);
route!(CA: GET "/v1/proxy/ca.pem", Some(ProxyIntegrations), OK, Commit, Empty, [],
    "The certificate that clients of the forward proxy trust", ca);

/// Hosts to which an API key can send requests.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProxyDestinations {
    /// The hosts.
    destinations: Vec<ProxyDestination>,
    /// Provider of each credential, by its id.
    #[schema(value_type = BTreeMap<String, String>)]
    providers: BTreeMap<CredentialId, ProviderName>,
}

/// A host to which an API key can send requests.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProxyDestination {
    /// The host, or a pattern of hosts.
    host: String,
    /// Ids of the credentials for it.
    #[schema(value_type = Vec<String>)]
    credentials: BTreeSet<CredentialId>,
}

async fn destinations(request: Authorized<Caller>) -> Result<JsonReply<One<ProxyDestinations>>, Problem> {
    let found = request.app.broker.destinations(&request.caller).await?;
    let hosts = found.hosts.into_iter();
    let destinations = hosts.map(|(host, credentials)| ProxyDestination { host, credentials }).collect();
    JsonReply::json(&ProxyDestinations { destinations, providers: found.providers })
}

async fn ca(request: Authorized<Caller>) -> Result<JsonReply<Pem>, Problem> {
    Ok(JsonReply::raw(request.app.broker.proxy_ca().await?.pem().into()))
}
