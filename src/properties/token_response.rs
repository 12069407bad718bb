//! Properties of token responses and scope lists.

use http::{HeaderMap, HeaderName, StatusCode, header};

use crate::catalog::entry::OAuth;
use crate::egress::EgressResponse;
use crate::oauth::parsers;
use crate::property::{SECRET, is_fit_to_be_shown};

const STATUSES: [u16; 8] = [200, 200, 200, 200, 201, 400, 401, 429];
const KINDS: [&str; 4] = ["application/json", "application/x-www-form-urlencoded", "text/html; charset=utf-8", ""];
const ENTRIES: [&str; 8] = [
    "",
    "token_type = \"bearer\"",
    "token_path = \"/a\"\ntoken_type = \"bearer\"",
    "expires_in_unit = \"unix_milliseconds\"",
    "expires_in_unit = \"milliseconds\"\nexpires_in_member = \"e\"",
    "token_metadata = [\"m\", \"/a/m\"]",
    "identity = { url = \"https://a.example/me\", from_token_answer = true, username = \"/a/n\", title = \"/t\", account = \"/i\" }",
    "scope_separator = \";\"\nfurther_tokens = { u = { path = \"/u\", account = \"/u/id\" } }\nscope_prefix = \"p/\"\nscope_member = \"s\"",
];

thread_local! {
    /// Parsed once, because parsing an entry takes longer than reading a response.
    static READ: [OAuth; 8] = ENTRIES.map(entry);
    static SEPARATED: [(&'static str, OAuth); 3] =
        [" ", ",", ";"].map(|separator| (separator, entry(&format!("scope_separator = {separator:?}"))));
}

/// Reads a token response: two bytes choose status, content type and entry; the rest is the body.
pub fn token_response(bytes: &[u8]) {
    let [first, second, body @ ..] = bytes else { return };
    let status = STATUSES[usize::from(*first & 7)];
    let dated: [(HeaderName, &str); 2] =
        [(header::CONTENT_TYPE, KINDS[usize::from(*first >> 3 & 3)]), (header::DATE, "Tue, 24 Nov 2026 05:00:00 GMT")];
    let headers: HeaderMap = dated.into_iter().map(|(name, value)| (name, value.parse().unwrap())).collect();
    let answer = EgressResponse { status: StatusCode::from_u16(status).unwrap(), headers, body: body.to_vec().into() };
    let requested = ["read".to_owned(), "offline_access".to_owned()];
    let read =
        READ.with(|entries| parsers::token_response(&answer, &entries[usize::from(*second & 7)], &requested, SECRET));
    let grant = match read {
        Ok(grant) => grant,
        Err(error) => return is_fit_to_be_shown(&error.to_string()),
    };
    assert!(answer.status.is_success());
    let all = || std::iter::once(&grant).chain(grant.further.values());
    for token in all().flat_map(|one| [Some(&one.access_token), one.refresh_token.as_ref()]).flatten() {
        let text = token.expose();
        assert!((1..=64 * 1024).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_graphic()), "{text:?}");
    }
    if let Some(life) = grant.expires_in {
        assert!((1..=100 * 365 * 86_400).contains(&life.as_secs()) && life.subsec_nanos() == 0, "{life:?}");
    }
    assert!(http::HeaderValue::from_str(&format!("{} x", grant.token_type)).is_ok(), "{:?}", grant.token_type);
    assert!(grant.missing_scopes.iter().all(|scope| requested.contains(scope)));
    are_scopes(&grant.scopes);
    for name in grant.identity.iter().flat_map(|it| [&it.username, &it.title, &it.account]).flatten() {
        assert!((1..=512).contains(&name.chars().count()) && !name.contains(char::is_control), "{name:?}");
    }
    if let Some(serde_json::Value::Object(members)) = crate::json::parse(body) {
        let failed = members.get("error").and_then(|error| error.as_str()).is_some_and(|error| !error.is_empty());
        assert!(!failed && members.get("ok") != Some(&false.into()), "a failure was taken for a grant");
    }
}

/// Reads a scope list.
pub fn scope_list(text: &str) {
    SEPARATED.with(|entries| {
        for (separator, entry) in entries {
            let Some(scopes) = parsers::granted_scopes(&text.into(), entry) else { continue };
            are_scopes(&scopes);
            let again = parsers::granted_scopes(&scopes.join(separator).into(), entry);
            assert_eq!(again.as_ref(), Some(&scopes), "joined, they come apart again");
            let as_a_list = parsers::granted_scopes(&scopes.clone().into(), entry);
            assert_eq!(as_a_list, Some(scopes), "and as a list");
        }
    });
}

fn are_scopes(scopes: &[String]) {
    let distinct: std::collections::HashSet<_> = scopes.iter().collect();
    assert_eq!(distinct.len(), scopes.len(), "{scopes:?}");
    assert!(
        scopes.iter().all(|scope| !scope.is_empty() && !scope.contains(|c: char| c.is_control() || c.is_whitespace()))
    );
}

fn entry(further: &str) -> OAuth {
    let urls = "authorize_url = \"https://a.example/a\"\ntoken_url = \"https://a.example/t\"";
    toml::from_str(&format!("{urls}\n{further}")).unwrap()
}
