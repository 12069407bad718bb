//! Binding of a request to a host of its credential.

use http::Uri;
use http::uri::PathAndQuery;
use url::Url;

use super::refusal::ProxyError;
use crate::broker::CredentialBase;
use crate::catalog::Entry;
use crate::policy::{Destination, HostPattern, RequestTarget, Scheme};

/// The place of a request, bound to its credential.
pub(super) struct Bound {
    pub(super) destination: Destination,
    /// Path of the base URL, without a slash at its end.
    pub(super) base_path: String,
    /// True if a user chose the host.
    pub(super) is_chosen: bool,
}

impl Bound {
    /// Returns the URI of a request.
    pub(super) fn uri(&self, target: &PathAndQuery) -> Result<Uri, ProxyError> {
        let authority = self.destination.authority();
        let uri = Uri::builder().scheme(self.destination.scheme().name()).authority(authority.as_str());
        uri.path_and_query(target.clone()).build().map_err(|_| ProxyError::NotBound(authority))
    }
}

/// An authority that the caller names, with its scheme if the entry point knows it.
type NamedPlace<'r> = (&'r str, Option<Scheme>);

/// Binds the request to a host of the credential, and makes its path canonical.
pub(super) fn bind(
    base: CredentialBase,
    is_chosen: bool,
    entry: Option<&Entry>,
    place: Option<NamedPlace<'_>>,
    target: &str,
) -> Result<(Bound, RequestTarget), ProxyError> {
    match base {
        CredentialBase::Url(url) => bind_to_entry(&url, is_chosen, entry, place, target),
        CredentialBase::Hosts(pattern) => bind_to_pattern(&pattern, place, target),
    }
}

/// Binds the request to the host of the base URL, or to another one that the entry lists.
fn bind_to_entry(
    base: &Url,
    is_chosen: bool,
    entry: Option<&Entry>,
    place: Option<NamedPlace<'_>>,
    target: &str,
) -> Result<(Bound, RequestTarget), ProxyError> {
    let own = Destination::of_url(base).ok_or_else(|| ProxyError::NotBound(base.to_string()))?;
    let base_path = base.path().trim_end_matches('/').to_owned();
    let Some((authority, scheme)) = place else {
        let target = RequestTarget::parse(&format!("{base_path}{target}"))?;
        return Ok((Bound { destination: own, base_path, is_chosen }, target));
    };
    let target = RequestTarget::parse(target)?;
    // Without a scheme it is https, unless the credential is for this host by http alone.
    let schemes = scheme.map_or(vec![Scheme::Https, Scheme::Http], |scheme| vec![scheme]);
    let named = schemes.into_iter().map(|scheme| Destination::parse_authority(scheme, authority));
    let named = named.collect::<Result<Vec<_>, _>>()?;
    if named.contains(&own) {
        return Ok((Bound { destination: own, base_path, is_chosen }, target));
    }
    let refused = ProxyError::NotBound(named[0].authority());
    let is_listed =
        |named: &Destination| entry.is_some_and(|entry| entry.hosts.iter().any(|host| named.fits(&host.host)));
    let destination = named.into_iter().find(is_listed).ok_or(refused)?;
    Ok((Bound { destination, base_path: String::new(), is_chosen: false }, target))
}

/// Binds the request to a host of the sealed pattern.
fn bind_to_pattern(
    pattern: &HostPattern,
    place: Option<NamedPlace<'_>>,
    target: &str,
) -> Result<(Bound, RequestTarget), ProxyError> {
    let target = RequestTarget::parse(target)?;
    let own = if pattern.scheme() == "http" { Scheme::Http } else { Scheme::Https };
    let (scheme, host) = (place.and_then(|(_, scheme)| scheme).unwrap_or(own), pattern.host());
    let authority = match place {
        Some((authority, _)) => authority.to_owned(),
        None if host.starts_with('*') => return Err(ProxyError::HostNeeded(host)),
        None => format!("{host}:{}", pattern.port()),
    };
    let destination = Destination::parse_authority(scheme, &authority)?;
    if !destination.fits(pattern) {
        return Err(ProxyError::NotBound(destination.authority()));
    }
    Ok((Bound { destination, base_path: String::new(), is_chosen: true }, target))
}
