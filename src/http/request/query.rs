//! Queries: `limit` and `after` of a list, `min_ttl` of a token.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::broker::DEFAULT_MIN_TTL;
use crate::http::problem::Problem;
use crate::id::CredentialId;
use crate::validation::{NOT_A_NUMBER, RequestFault, decimal};
use crate::vault::CredentialPage;

/// Reads the page of a list. If a name appears twice, the last value counts; unknown names are
/// ignored.
pub(crate) fn page(query: &str) -> Result<CredentialPage, Problem> {
    let value = |wanted| value(query, wanted);
    let limit = value("limit").map(|text| limit(&text)).transpose();
    let after = value("after").map(|text| after(&text)).transpose();
    match (limit, after) {
        (Ok(limit), Ok(after)) => Ok(CredentialPage { limit: limit.map(NonZeroU32::get), after }),
        (limit, after) => Err(Problem::faults(&limit.err().into_iter().chain(after.err()).collect::<Vec<_>>())),
    }
}

/// Reads the minimum remaining lifetime of a token, given in seconds.
pub(crate) fn min_ttl(query: &str) -> Result<Duration, Problem> {
    let Some(text) = value(query, "min_ttl") else { return Ok(DEFAULT_MIN_TTL) };
    let fault = |kind, message| Problem::faults(&[RequestFault::new(kind, ["query", "min_ttl"], message)]);
    let number = decimal(&text).ok_or_else(|| fault("int_parsing", NOT_A_NUMBER))?;
    let seconds = u64::try_from(number);
    seconds
        .map(Duration::from_secs)
        .map_err(|_| fault("greater_than_equal", "Input should be greater than or equal to 0"))
}

fn value(query: &str, wanted: &str) -> Option<String> {
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.filter(|(name, _)| name == wanted).last().map(|(_, value)| value.into_owned())
}

fn after(text: &str) -> Result<CredentialId, RequestFault> {
    text.parse().map_err(|_| RequestFault::new("uuid_parsing", ["query", "after"], "Input should be a valid UUID"))
}

fn limit(text: &str) -> Result<NonZeroU32, RequestFault> {
    let fault = |kind, message| RequestFault::new(kind, ["query", "limit"], message);
    let number = decimal(text).ok_or_else(|| fault("int_parsing", NOT_A_NUMBER))?;
    if number < 1 {
        return Err(fault("greater_than_equal", "Input should be greater than or equal to 1"));
    }
    Ok(u32::try_from(number).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0192d3f0-7c3a-7000-8000-00000000000f";

    #[test]
    fn list_without_limit_is_whole() {
        assert!(matches!(page("x=1&limits=2"), Ok(CredentialPage { limit: None, after: None })));
        let query = format!("limit=1&limit=2&after={ID}");
        assert!(
            matches!(page(&query), Ok(CredentialPage { limit: Some(2), after: Some(after) }) if after.to_string() == ID)
        );
    }

    #[test]
    fn min_ttl_defaults_to_five_minutes() {
        assert_eq!(min_ttl("").unwrap(), Duration::from_secs(300));
        assert_eq!(min_ttl("min_ttl=0").unwrap(), Duration::ZERO);
        assert_eq!(min_ttl("x=1&min_ttl=60").unwrap(), Duration::from_secs(60));
        for wrong in ["min_ttl=", "min_ttl=x", "min_ttl=-1", "min_ttl=1.5", "min_ttl=99999999999999999999"] {
            assert!(min_ttl(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_fault_of_a_query_is_reported() {
        let id = crate::id::RequestId::fresh(crate::random::Random);
        let body = page("limit=0&after=x").unwrap_err().body(id).1;
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["detail"][0]["loc"], serde_json::json!(["query", "limit"]));
        assert_eq!(body["detail"][0]["type"], "greater_than_equal");
        assert_eq!(body["detail"][1]["loc"], serde_json::json!(["query", "after"]));
        assert!(page("limit=").is_err() && page("limit=x").is_err() && page("limit=1.5").is_err());
    }
}
