//! The credential of a request: the one that the caller names, or the only one that is bound to the
//! host.

use http::HeaderMap;

use crate::broker::BoundCredential;
use crate::http::problem::{self, Problem};
use crate::id::CredentialId;
use crate::policy::Destination;

/// Header that names a credential.
const CREDENTIAL_HEADER: &str = "strongroom-credential";

/// Maximum number of credentials that a refusal names.
const MAX_NAMED: usize = 100;

/// The credential that a request names.
#[derive(Clone, Copy)]
pub(super) struct Selection(Option<CredentialId>);

impl Selection {
    /// Reads the header.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut named = headers.get_all(CREDENTIAL_HEADER).iter();
        let (first, more) = (named.next(), named.next().is_some());
        let Some(value) = first else { return Ok(Self(None)) };
        let id = value.to_str().ok().filter(|_| !more).and_then(|text| text.trim().parse().ok());
        id.map(|id| Self(Some(id))).ok_or_else(|| {
            Problem::new(&problem::CREDENTIAL_NOT_FOUND, "Strongroom-Credential must hold the id of one credential")
        })
    }

    /// Returns the credential for a request among those that are bound to its destination. Of
    /// several, the one with the longest base path that the request is below.
    pub(super) fn choose(
        self,
        bound: &[BoundCredential],
        destination: &Destination,
        target: &str,
    ) -> Result<CredentialId, Problem> {
        if let Some(id) = self.0 {
            // The pipeline checks that it is bound to the destination.
            return Ok(id);
        }
        let path = target.split('?').next().unwrap_or_default();
        let rank = |one: &BoundCredential| {
            let rest = path.strip_prefix(one.base_path.as_str())?;
            (rest.is_empty() || rest.starts_with('/')).then_some(one.base_path.len())
        };
        let highest = bound.iter().map(rank).max().ok_or_else(|| not_bound(&destination.authority()))?;
        let best: Vec<_> = bound.iter().filter(|one| rank(one) == highest).map(|one| one.id).collect();
        match best.as_slice() {
            [id] => Ok(*id),
            several => {
                let ids: Vec<String> = several.iter().take(MAX_NAMED).map(ToString::to_string).collect();
                let detail =
                    format!("Several credentials are for {destination}: name one in the header Strongroom-Credential.");
                Err(Problem::new(&problem::CREDENTIAL_AMBIGUOUS, detail).with("credentials", ids))
            }
        }
    }
}

/// Returns the refusal of a host to which no credential is bound.
pub(super) fn not_bound(authority: &str) -> Problem {
    let detail = format!("No credential that this API key may use is for {authority}.");
    Problem::new(&problem::DESTINATION_NOT_ALLOWED, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(bound: &[(u8, &str)], target: &str) -> String {
        let id = |number: u8| format!("3f2b8c1e-0000-4000-8000-{number:012}").parse().unwrap();
        let bound: Vec<_> =
            bound.iter().map(|(n, path)| BoundCredential { id: id(*n), base_path: (*path).to_owned() }).collect();
        let destination = Destination::parse_connect("a.example:443").unwrap();
        match Selection(None).choose(&bound, &destination, target) {
            Ok(found) => {
                found.to_string().trim_start_matches("3f2b8c1e-0000-4000-8000-").trim_start_matches('0').into()
            }
            Err(problem) => problem.kind().uri.to_owned(),
        }
    }

    #[test]
    fn longest_base_path_wins() {
        let bound = [(1, "/calendar/v3"), (2, "/youtube/v3"), (3, "")];
        assert_eq!(chosen(&bound, "/youtube/v3/search?q=/calendar/v3"), "2");
        assert_eq!(chosen(&bound, "/calendar/v3"), "1");
        assert_eq!(chosen(&bound, "/calendar/v33"), "3");
        assert_eq!(chosen(&bound[..2], "/batch"), "/problems/credential-ambiguous");
        assert_eq!(chosen(&bound[..1], "/batch"), "1");
        assert_eq!(chosen(&[(1, ""), (2, "")], "/"), "/problems/credential-ambiguous");
        assert_eq!(chosen(&[], "/"), "/problems/destination-not-allowed");
    }
}
