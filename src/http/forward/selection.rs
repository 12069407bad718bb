//! The credential of a request: the one that the caller names by its id or by its placeholder, or the
//! only one that is bound to the host.

use http::HeaderMap;

use crate::broker::BoundCredential;
use crate::http::problem::{self, Problem};
use crate::id::CredentialId;
use crate::policy::Destination;
use crate::proxy::has_placeholder;

/// Header that names a credential.
const CREDENTIAL_HEADER: &str = "strongroom-credential";

/// Maximum number of credentials that a refusal names.
const MAX_NAMED: usize = 100;

/// Maximum number of credentials for a host whose placeholders are looked for. Each costs a search of
/// all headers, and a user can have thousands.
const MAX_SEARCHED: usize = 100;

/// The credential that a request names.
#[derive(Clone, Copy)]
pub(super) struct Selection<'r> {
    named: Option<CredentialId>,
    headers: &'r HeaderMap,
}

impl<'r> Selection<'r> {
    /// Returns true if the request names a credential, well or not.
    pub(super) fn is_named(headers: &HeaderMap) -> bool {
        headers.contains_key(CREDENTIAL_HEADER)
    }

    /// Reads the header.
    pub(super) fn of(headers: &'r HeaderMap) -> Result<Self, Problem> {
        let mut named = headers.get_all(CREDENTIAL_HEADER).iter();
        let (first, more) = (named.next(), named.next().is_some());
        let Some(value) = first else { return Ok(Self { named: None, headers }) };
        let id = value.to_str().ok().filter(|_| !more).and_then(|text| text.trim().parse().ok());
        id.map(|id| Self { named: Some(id), headers }).ok_or_else(|| {
            Problem::new(&problem::CREDENTIAL_NOT_FOUND, "Strongroom-Credential must hold the id of one credential")
        })
    }

    /// Returns the credential for a request among those that are bound to its destination. Of
    /// several, the one whose placeholder the request has, or else the one with the longest base path
    /// that the request is below.
    pub(super) fn choose(
        self,
        bound: &[BoundCredential],
        destination: &Destination,
        target: &str,
    ) -> Result<CredentialId, Problem> {
        if let Some(id) = self.named {
            // The pipeline checks that it is bound to the destination.
            return Ok(id);
        }
        let has_its_own = |one: &&BoundCredential| {
            one.placeholder.as_deref().is_some_and(|text| has_placeholder(text, target, self.headers))
        };
        let searched = if bound.len() <= MAX_SEARCHED { bound } else { &[] };
        let by_placeholder: Vec<_> = searched.iter().filter(has_its_own).collect();
        if let [one] = by_placeholder[..] {
            return Ok(one.id);
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
        chosen_with(bound, target, "Bearer x")
    }

    fn chosen_with(bound: &[(u8, &str)], target: &str, authorization: &'static str) -> String {
        let authorization = http::HeaderValue::from_static(authorization);
        let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, authorization)]);
        let id = |number: u8| format!("3f2b8c1e-0000-4000-8000-{number:012}").parse().unwrap();
        let one = |(number, path): &(u8, &str)| BoundCredential {
            id: id(*number),
            base_path: (*path).to_owned(),
            placeholder: Some(format!("place-{number}-holder")),
        };
        let bound: Vec<_> = bound.iter().map(one).collect();
        let destination = Destination::parse_connect("a.example:443").unwrap();
        match Selection::of(&headers).unwrap().choose(&bound, &destination, target) {
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

    #[test]
    fn placeholder_names_its_credential() {
        let bound = [(1, "/a"), (2, ""), (3, "")];
        assert_eq!(chosen_with(&bound, "/a", "Bearer place-3-holder"), "3");
        assert_eq!(chosen_with(&bound, "/a", "Basic eDpwbGFjZS0yLWhvbGRlcg=="), "2");
        assert_eq!(chosen_with(&bound, "/place-2-holder/a", "Bearer x"), "2");
        assert_eq!(chosen_with(&bound, "/a", "Bearer place-4-holder"), "1");
        assert_eq!(chosen_with(&bound, "/b?place-2-holder", "Bearer place-3-holder"), "/problems/credential-ambiguous");
        let many: Vec<_> = (1..=101).map(|number| (number, "")).collect();
        assert_eq!(chosen_with(&many[..100], "/", "Bearer place-3-holder"), "3");
        assert_eq!(chosen_with(&many, "/", "Bearer place-3-holder"), "/problems/credential-ambiguous");
    }
}
