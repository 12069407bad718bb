//! Hosts of a provider in addition to that of its base URL.

use serde::{Deserialize, Serialize};

use super::placement::Place;
use crate::policy::{Destination, HostPattern, PathPattern, Segments};

/// A host to which the provider's credentials may be sent, in addition to those of the base URLs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoundHost {
    /// The host.
    pub host: HostPattern,
    /// The paths that this section is for, if the host needs the secret in different places.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathPattern>,
    /// The part of a request that carries the secret there: `header`, `query` or `basic`. Absent if
    /// it is that of the base URL.
    #[serde(rename = "in")]
    pub place: Option<Place>,
    /// Its name there: the header or the query parameter.
    pub name: Option<String>,
    /// A prefix of it in a header.
    pub prefix: Option<String>,
    /// With `basic`: the user name to which the secret is the password.
    pub user: Option<String>,
}

impl BoundHost {
    /// Returns true if the section is for a request to this destination and path.
    pub fn covers(&self, destination: &Destination, path: &Segments) -> bool {
        let is_its_path = self.paths.is_empty() || self.paths.iter().any(|pattern| pattern.matches(path));
        destination.fits(&self.host) && is_its_path
    }
}
