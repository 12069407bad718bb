//! Scope lists in the forms that providers send (RFC 6749 §3.3).

use std::collections::HashSet;

use serde_json::Value;

use crate::catalog::entry::OAuth;

/// Maximum length of a scope list, in bytes.
const MAX_LIST: usize = 64 * 1024;

/// Splits at white space, which no scope contains, and at the separator that the entry names for
/// responses, or else for requests. A comma or plus belongs to a scope, unless it joins a requested
/// scope to others: then the provider uses another separator than its documentation names.
/// Duplicates are dropped; the order stays.
fn split(text: &str, entry: &OAuth, requested: &[String]) -> Vec<String> {
    let separator = entry.answer_scope_separator.as_ref().unwrap_or(&entry.scope_separator).as_str();
    // Sets, because a hostile list of 64 KiB has tens of thousands of scopes.
    let requested: HashSet<&str> = requested.iter().map(String::as_str).collect();
    let (mut seen, mut scopes) = (HashSet::new(), Vec::new());
    for piece in text.split(|c: char| c.is_whitespace() || separator.contains(c)) {
        let parts = || piece.split([',', '+']);
        let is_joined = !requested.contains(piece) && parts().any(|part| requested.contains(part));
        if is_joined { scopes.extend(parts()) } else { scopes.push(piece) }
    }
    scopes.retain(|scope| !scope.is_empty() && seen.insert(*scope));
    scopes.into_iter().map(str::to_owned).collect()
}

/// Reads the `scope` member of a response, a string or a list of strings; `None` if it is absent.
///
/// # Errors
/// If the member has another type, contains control characters, or is longer than 64 KiB.
pub(in crate::oauth) fn granted(
    member: Option<&Value>,
    entry: &OAuth,
    requested: &[String],
) -> Result<Option<Vec<String>>, ()> {
    let text = match member {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(list)) => list.iter().map(Value::as_str).collect::<Option<Vec<_>>>().ok_or(())?.join(" "),
        Some(_) => return Err(()),
    };
    if text.len() > MAX_LIST || text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        return Err(());
    }
    Ok(Some(split(&text, entry, requested)))
}

/// Returns the scopes of `requested` that were not granted.
///
/// Responses seldom name `offline_access` and `openid` (OpenID Connect Core §11, §3.1.2.1). They
/// count as granted if the response has the token that they ask for.
pub(in crate::oauth) fn missing(
    requested: &[String],
    granted: &[String],
    entry: &OAuth,
    refresh_token: bool,
    id_token: bool,
) -> Vec<String> {
    let received = |scope: &str| (scope == "offline_access" && refresh_token) || (scope == "openid" && id_token);
    let named = |scope: &str| granted.iter().any(|granted| entry.same_scope(granted, scope));
    requested.iter().filter(|scope| !named(scope) && !received(scope)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::oauth::tests::entry;

    // Requirement 6.
    #[test]
    fn texts_and_lists_are_read() {
        let entry = entry("");
        for text in ["a b", "a\tb", " a  b ", "a b a"] {
            assert_eq!(
                granted(Some(&text.into()), &entry, &[]),
                Ok(Some(vec!["a".to_owned(), "b".to_owned()])),
                "{text}"
            );
        }
        let list = serde_json::json!(["a", "b"]);
        assert_eq!(granted(Some(&list), &entry, &[]), Ok(Some(vec!["a".to_owned(), "b".to_owned()])));
        assert_eq!(granted(None, &entry, &[]), Ok(None));
        assert_eq!(granted(Some(&Value::Null), &entry, &[]), Ok(None));
        assert_eq!(granted(Some(&"".into()), &entry, &[]), Ok(Some(vec![])), "an empty list was granted");
        for wrong in [serde_json::json!(1), serde_json::json!({}), serde_json::json!([1]), "a\u{0}b".into()] {
            assert_eq!(granted(Some(&wrong), &entry, &[]), Err(()), "{wrong}");
        }
        assert_eq!(granted(Some(&"a ".repeat(MAX_LIST).into()), &entry, &[]), Err(()));
    }

    #[test]
    fn scopes_are_split_at_the_entrys_separator_only() {
        for (settings, text, scopes) in [
            ("", "read+write a,b", vec!["read+write", "a,b"]),
            ("scope_separator = \",\"", "a,b, c+d", vec!["a", "b", "c+d"]),
            ("scope_separator = \"+\"", "a+b,c", vec!["a", "b,c"]),
            ("scope_separator = \";\"", "a;b,c d", vec!["a", "b,c", "d"]),
            ("answer_scope_separator = \",\"", "a,b c+d", vec!["a", "b", "c+d"]),
            ("scope_separator = \"+\"\nanswer_scope_separator = \",\"", "a+b,c", vec!["a+b", "c"]),
        ] {
            assert_eq!(split(text, &entry(settings), &["read+write".to_owned()]), scopes, "{settings}: {text}");
        }
        for joined in ["read,more", "more+read"] {
            assert_eq!(split(joined, &entry(""), &["read".to_owned()]).len(), 2, "{joined}: read was requested");
        }
    }

    // Requirement 6.
    #[test]
    fn missing_scopes_are_named() {
        let texts = |scopes: &[&str]| scopes.iter().map(|scope| (*scope).to_owned()).collect::<Vec<_>>();
        let asked = texts(&["read", "write", "offline_access", "openid"]);
        assert_eq!(
            missing(&asked, &texts(&["read", "more"]), &entry(""), false, false),
            texts(&["write", "offline_access", "openid"])
        );
        assert_eq!(missing(&asked, &texts(&["read"]), &entry(""), true, true), texts(&["write"]));
    }

    #[test]
    fn the_entrys_scope_prefix_is_optional() {
        let entry = entry("scope_prefix = \"https://graph.example/\"");
        let texts = |scopes: &[&str]| scopes.iter().map(|scope| (*scope).to_owned()).collect::<Vec<_>>();
        let asked = texts(&["User.Read", "https://graph.example/Mail.Read", "Mail.Send"]);
        let granted = texts(&["https://graph.example/User.Read", "Mail.Read", "https://other.example/Mail.Send"]);
        assert_eq!(missing(&asked, &granted, &entry, false, false), texts(&["Mail.Send"]));
    }

    proptest! {
        #[test]
        fn joined_scopes_split_again(
            scopes in prop::collection::btree_set("[!-*\\--:<-~]{1,12}", 0..12),
            separator in prop::sample::select(vec![" ", ",", "+", ", ", ";"]),
        ) {
            let scopes: Vec<String> = scopes.into_iter().collect();
            let entry = entry(&format!("scope_separator = {separator:?}"));
            prop_assert_eq!(split(&scopes.join(separator), &entry, &[]), scopes);
        }
    }
}
