//! Queries: `limit` and `after` of a list, `min_ttl` of a token.

use std::str::FromStr;
use std::time::Duration;

use crate::broker::{CredentialPage, DEFAULT_MIN_TTL, GrantFilter, ProviderFilter};
use crate::http::problem::Problem;
use crate::validation::{NOT_A_NUMBER, RequestFault, decimal};

/// Maximum length of `q`, in bytes: each word is looked up in every provider.
pub(crate) const MAX_Q: usize = 256;

/// Reads the page of a list. If a name appears twice, the last value counts; unknown names are
/// ignored.
pub(crate) fn page(query: &str) -> Result<CredentialPage, Problem> {
    let (limit, after) = page_of(query)?;
    Ok(CredentialPage { limit, after })
}

/// Reads `limit` and `after` of a list whose ids have this type.
pub(crate) fn page_of<T: FromStr>(query: &str) -> Result<(Option<u32>, Option<T>), Problem> {
    match (limit(query), id(query, "after")) {
        (Ok(limit), Ok(after)) => Ok((limit, after)),
        (limit, after) => Err(Problem::faults(limit.err().into_iter().chain(after.err()).collect())),
    }
}

/// Reads the page and the filter of the list of grants. Unknown names are ignored.
pub(crate) fn grants(query: &str) -> Result<GrantFilter, Problem> {
    match (id(query, "key"), limit(query), id(query, "after")) {
        (Ok(key), Ok(limit), Ok(after)) => Ok(GrantFilter { key, limit, after }),
        (key, limit, after) => {
            Err(Problem::faults(key.err().into_iter().chain(limit.err()).chain(after.err()).collect()))
        }
    }
}

fn limit(query: &str) -> Result<Option<u32>, RequestFault> {
    Ok(number(query, "limit", 1)?.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)))
}

fn id<T: FromStr>(query: &str, name: &str) -> Result<Option<T>, RequestFault> {
    let fault = |_| RequestFault::new("uuid_parsing", ["query", name], "Input should be a valid UUID");
    value(query, name).map(|text| text.parse().map_err(fault)).transpose()
}

/// Reads the filter of the list of providers. Unknown names are ignored.
pub(crate) fn providers(query: &str) -> Result<ProviderFilter, Problem> {
    let value = |wanted| value(query, wanted);
    let configured = match value("configured").as_deref() {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(RequestFault::new("bool_parsing", ["query", "configured"], "Input should be true or false")),
    };
    let q = value("q").unwrap_or_default();
    if q.len() > MAX_Q {
        let message = format!("String should have at most {MAX_Q} bytes");
        return Err(Problem::faults(vec![RequestFault::new("string_too_long", ["query", "q"], message)]));
    }
    match (configured, number(query, "limit", 1)) {
        (Ok(configured), Ok(limit)) => Ok(ProviderFilter {
            configured,
            words: q.split_whitespace().map(str::to_owned).collect(),
            limit: limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
            after: value("after"),
        }),
        (configured, limit) => Err(Problem::faults(configured.err().into_iter().chain(limit.err()).collect())),
    }
}

/// Reads the minimum remaining lifetime of a token, given in seconds.
pub(crate) fn min_ttl(query: &str) -> Result<Duration, Problem> {
    let seconds = number(query, "min_ttl", 0).map_err(|fault| Problem::faults(vec![fault]))?;
    Ok(seconds.map_or(DEFAULT_MIN_TTL, Duration::from_secs))
}

/// Reads a whole number of at least `min`.
fn number(query: &str, name: &str, min: u32) -> Result<Option<u64>, RequestFault> {
    let Some(text) = value(query, name) else { return Ok(None) };
    let fault = |kind, message: String| RequestFault::new(kind, ["query", name], message);
    let number = decimal(&text).ok_or_else(|| fault("int_parsing", NOT_A_NUMBER.to_owned()))?;
    if number < i64::from(min) {
        return Err(fault("greater_than_equal", format!("Input should be greater than or equal to {min}")));
    }
    Ok(Some(number.unsigned_abs()))
}

fn value(query: &str, wanted: &str) -> Option<String> {
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.filter(|(name, _)| name == wanted).last().map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0192d3f0-7c3a-7000-8000-00000000000f";

    #[test]
    fn limit_and_after_are_optional() {
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
    fn words_for_the_list_of_providers_are_bounded() {
        assert_eq!(providers(&format!("q={}", "a+".repeat(MAX_Q / 2))).unwrap().words.len(), MAX_Q / 2);
        assert!(providers(&format!("q={}", "a+".repeat(MAX_Q / 2 + 1))).is_err());
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
