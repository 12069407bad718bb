//! The placements of API keys in the embedded entries, which tell applications how to send a key.

use http::{HeaderName, HeaderValue};

use crate::catalog::Catalog;
use crate::catalog::entry::{ApiKeyPlacement, Place};

fn each_placement(check: impl Fn(&str, &ApiKeyPlacement)) {
    let catalog = Catalog::build([]).unwrap_or_else(|faults| panic!("{faults}"));
    for provider in catalog.iter() {
        if let Some(api_key) = &provider.entry.api_key {
            check(provider.name.as_str(), api_key);
        }
    }
}

#[test]
fn names_of_keys_fit_their_place() {
    each_placement(|provider, api_key| {
        let ApiKeyPlacement { place, name, prefix, secrets, headers, .. } = api_key;
        let named = matches!(place, Some(Place::Header | Place::Query | Place::Body));
        // One secret has one name, several have one each, and HTTP Basic has none.
        assert_eq!(named, name.is_some() || secrets.len() > 1 && *place != Some(Place::Basic), "{provider}");
        assert!(name.is_none() || secrets.is_empty(), "{provider}");
        assert!(prefix.is_none() || named || *place == Some(Place::Path), "{provider}");
        assert!(prefix.as_ref().is_none_or(|prefix| HeaderValue::from_str(prefix).is_ok()), "{provider}");
        assert!((0..secrets.len()).all(|i| !secrets[..i].contains(&secrets[i])), "{provider}");
        for name in name.iter().chain(secrets) {
            assert!(!name.trim().is_empty() && !name.contains(char::is_control), "{provider}: {name}");
            if *place == Some(Place::Header) {
                assert!(HeaderName::try_from(name).is_ok(), "{provider}: {name}");
                assert!(!headers.keys().any(|fixed| fixed.eq_ignore_ascii_case(name)), "{provider}: {name}");
            }
        }
        assert!(
            match place {
                Some(Place::Basic) => matches!(secrets.len(), 0 | 2),
                Some(Place::Path) | None => secrets.is_empty(),
                Some(_) => secrets.len() != 1,
            },
            "{provider}"
        );
    });
}

/// RFC 7617: one half is the key and the other is fixed, or both are secrets.
#[test]
fn halves_of_http_basic_fit_each_other() {
    each_placement(|provider, api_key| {
        let ApiKeyPlacement { place, user, user_suffix, password, secrets, .. } = api_key;
        let halves = [user, user_suffix, password].map(Option::as_ref);
        if *place != Some(Place::Basic) {
            assert_eq!(halves, [None; 3], "{provider}");
            return;
        }
        for half in halves.into_iter().flatten() {
            assert!(!half.contains(char::is_control), "{provider}");
        }
        assert!([user, user_suffix].into_iter().flatten().all(|half| !half.contains(':')), "{provider}");
        let given = [user.is_some(), password.is_some(), !secrets.is_empty()];
        assert!(given.into_iter().filter(|given| *given).count() <= 1, "{provider}");
        assert!(user_suffix.is_none() || !secrets.is_empty(), "{provider}");
    });
}
