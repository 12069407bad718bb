//! Property tests with generated input. `PROPTEST_CASES` sets the number of cases.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::property::SECRET;

/// JSON with the members that the parsers know, valid, invalid and nested.
fn words(names: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[ -~]{0,12}",
        Just(SECRET.to_owned()),
        Just("bearer".to_owned()),
        Just("https://issuer.example/a".to_owned()),
        Just("http://10.0.0.1/x".to_owned()),
        "\\PC{0,20}",
        ".{0,6}",
    ];
    let leaf = prop_oneof![
        4 => text.prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(3, 24, 6, move |inner| {
        let name = prop_oneof![4 => prop::sample::select(names).prop_map(str::to_owned), 1 => "[a-z\\PC]{0,6}"];
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            3 => prop::collection::vec((name, inner), 0..6).prop_map(|members| Value::Object(Map::from_iter(members))),
        ]
    })
}

/// Such JSON as bytes, sometimes damaged.
fn document(names: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => words(names).prop_map(|value| value.to_string().into_bytes()),
        1 => (words(names), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(value, at, byte)| {
            let mut bytes = value.to_string().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes
        }),
        1 => prop::collection::vec(any::<u8>(), 0..100),
    ]
}

const TOKEN_WORDS: &[&str] = &[
    "access_token",
    "refresh_token",
    "token_type",
    "expires_in",
    "scope",
    "error",
    "error_description",
    "ok",
    "message",
    "a",
    "e",
    "m",
    "n",
    "s",
    "t",
    "i",
    "code",
    "status",
];
const METADATA_WORDS: &[&str] = &[
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "jwks_uri",
    "userinfo_endpoint",
    "registration_endpoint",
    "scopes_supported",
    "require_pushed_authorization_requests",
    "resource",
    "authorization_servers",
];
const BODY_WORDS: &[&str] = &[
    "callback_url",
    "scopes",
    "state_metadata",
    "inputs",
    "credential_id",
    "code",
    "state_token",
    "callback_params",
    "type",
    "title",
    "api_key",
    "username",
    "password",
    "host",
    "headers",
    "expires_at",
];

const IMPORT_WORDS: &[&str] = &[
    "credentials",
    "connections",
    "connection_id",
    "provider_config_key",
    "provider",
    "id",
    "type",
    "title",
    "name",
    "data",
    "oauthTokenData",
    "access_token",
    "refresh_token",
    "api_key",
    "apiKey",
    "integrations",
    "headers",
    "scopes",
    "expires_at",
    "raw",
    "metadata",
];

/// Credentials in the formats of the three programs, almost valid.
fn almost_importable() -> impl Strategy<Value = Vec<u8>> {
    const KINDS: &[&str] = &[
        "oauth2",
        "api_key",
        "host_scoped",
        "OAUTH2",
        "API_KEY",
        "BASIC",
        "githubApi",
        "httpHeaderAuth",
        "xOAuth2Api",
    ];
    (words(IMPORT_WORDS), prop::sample::select(IMPORT_WORDS), prop::sample::select(KINDS)).prop_map(|(odd, name, kind)| {
        let secrets = json!({"type": kind, "access_token": SECRET, "apiKey": SECRET, "api_key": SECRET, "name": "X", "value": SECRET,
            "username": SECRET, "password": SECRET, "headers": {"A": SECRET}, "oauthTokenData": {"access_token": SECRET}});
        let mut one = secrets.clone();
        for (member, value) in [("id", json!("1")), ("connection_id", json!("c")), ("title", json!(SECRET)), ("name", json!(SECRET))] {
            one[member] = value;
        }
        one["credentials"] = secrets.clone();
        one["data"] = secrets;
        one[name] = odd;
        json!({"credentials": [one.clone()], "connections": [one]}).to_string().into_bytes()
    })
}

/// A variant of the property, then a script of few or many edits.
fn edits(ways: std::ops::Range<u8>) -> impl Strategy<Value = Vec<u8>> {
    (ways, prop_oneof![3 => prop::collection::vec(any::<u8>(), 0..40), 1 => prop::collection::vec(any::<u8>(), 0..400)])
        .prop_map(|(way, rest)| [&[way], rest.as_slice()].concat())
}

/// Sections with almost valid settings.
fn configuration() -> impl Strategy<Value = String> {
    const SECTIONS: &[&str] = &[
        "",
        "[server]",
        "[vault]",
        "[audit]",
        "[oauth]",
        "[egress]",
        "[backup]",
        "[providers.github]",
        "[providers.acme]",
        "[providers.acme.oauth]",
        "[trusted_issuers.acme]",
        "[[providers]]",
    ];
    let key = prop_oneof![
        6 => (0..crate::config::SETTINGS.len()).prop_map(|at| {
            let key = crate::config::SETTINGS[at].key;
            key.rsplit('.').next().unwrap().to_owned()
        }),
        1 => prop::sample::select(&["authorize_url", "token_url", "pkce", "display_name", "scopes", "oauth"][..]).prop_map(str::to_owned),
        1 => "[a-z._\"]{1,8}",
    ];
    let value = prop_oneof![
        "\"(https?://[a-z.]{1,9}|unix:/x|[0-9]{1,3}[smhd]|127.0.0.1:[0-9]{1,5}|prompt|any)\"",
        "\"[ -!#-\\[\\]-~]{0,9}\"",
        "\"[a-z]{0,3}\\\\(u00[01][0-9a-f]|n|t)\"",
        "\\[\"[a-z:/.0-9]{0,12}\"\\]",
        "\\{ (file|env|credential|command|x) = (\"[a-z]{0,5}\"|\\[\"a\", \"b\"\\]) \\}",
        "-?[0-9]{1,20}|true|false|nan|1e9|1979-05-27",
        "\\PC{0,8}",
    ];
    let line = prop_oneof![
        5 => (key, value).prop_map(|(key, value)| format!("{key} = {value}")),
        2 => prop::sample::select(SECTIONS).prop_map(str::to_owned),
    ];
    prop::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
}

/// A form with a token, more or less valid.
fn form() -> impl Strategy<Value = Vec<u8>> {
    let pair = (prop::sample::select(TOKEN_WORDS), "[ -~]{0,10}").prop_map(|(name, value)| format!("{name}={value}"));
    prop::collection::vec(pair, 0..5).prop_map(|pairs| pairs.join("&").into_bytes())
}

/// A valid token response with something unusual added.
fn almost_good() -> impl Strategy<Value = Vec<u8>> {
    (words(TOKEN_WORDS), prop::sample::select(TOKEN_WORDS)).prop_map(|(odd, name)| {
        let mut answer = json!({"access_token": "at", "token_type": "bearer"});
        answer[name] = odd;
        answer.to_string().into_bytes()
    })
}

/// Text in place of a host or of a part of a URL.
fn value_of_an_input() -> impl Strategy<Value = String> {
    prop_oneof![
        "(https://)?([a-zA-Z0-9-]{1,4}\\.){0,2}[ab]\\.example[./:@#?%\\\\]{0,2}[a-z0-9]{0,6}",
        "[a-zA-Z0-9.%/:@#?\\\\ {}\\-]{0,20}",
        "\\PC{0,12}",
        ".{0,8}",
    ]
}

proptest! {
    #[test]
    fn token_responses_are_usable_or_one_error(
        choice: (u8, u8),
        body in prop_oneof![3 => almost_good(), 2 => document(TOKEN_WORDS), 1 => form()],
    ) {
        super::token_response(&[vec![choice.0, choice.1], body].concat());
    }

    #[test]
    fn scope_lists_split_in_one_way(text in prop_oneof!["\\PC{0,40}", "[ -~\\s,+;]{0,60}", ".{0,20}"]) {
        super::scope_list(&text);
    }

    #[test]
    fn callbacks_lead_to_listed_hosts_only(
        accounts in value_of_an_input(), realm in value_of_an_input(), error in prop::option::of("\\PC{0,30}|.{0,8}"), rest in "[ -~]{0,20}",
    ) {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("accounts-server", &accounts).append_pair("realm", &realm);
        if let Some(error) = error {
            query.append_pair("error", &error).append_pair("error_description", &error.repeat(100));
        }
        super::callback_query(&format!("{}&{rest}", query.finish()));
        super::callback_query(&rest);
    }

    #[test]
    fn values_stay_in_their_part_of_the_url(
        template in prop_oneof!["https://(\\{a\\}|x|[a-z.]{1,9})[.:/]{0,2}[a-z.{}?=&/]{0,20}", "\\PC{0,20}"], value in value_of_an_input(),
    ) {
        super::url_template(&format!("{template}\n{value}"));
    }

    #[test]
    fn metadata_name_endpoints_or_are_rejected(
        mut document in words(METADATA_WORDS), issuer in prop::bool::weighted(0.8), bytes in document(METADATA_WORDS),
    ) {
        if issuer && document.is_object() {
            document["issuer"] = json!("https://issuer.example/a");
        }
        super::metadata(document.to_string().as_bytes());
        super::metadata(&bytes);
    }

    #[test]
    fn unsigned_tokens_do_not_verify(
        set in document(&["keys", "kty", "crv", "kid", "alg", "use", "x", "y", "n", "e"]),
        header in words(&["alg", "kid", "typ", "crit", "jwk"]),
        name in prop::sample::select(vec!["none", "HS256", "ES256", "RS256", "EdDSA", "ES384", "PS256"]),
        signature in prop::collection::vec(any::<u8>(), 0..70),
    ) {
        use base64::Engine as _;
        let encode = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
        let mut header = if header.is_object() { header } else { json!({}) };
        header["alg"] = json!(name);
        let token = format!("{}.{}.{}", encode(header.to_string().as_bytes()), encode(b"{}"), encode(&signature));
        super::key_set_and_token(&[&set[..], b"\n\n", token.as_bytes()].concat());
    }

    #[test]
    fn json_is_parsed_as_serde_does(bytes in document(&["a", "b"])) {
        super::json(&bytes);
    }

    #[test]
    fn allowed_callback_urls_have_a_configured_origin(
        text in "(https?://|com.acme.app://|//)?[ -~]{0,4}(app\\.example|localhost|callback|[a-z.]{0,9})[ -~]{0,12}|\\PC{0,20}",
    ) {
        super::callback_url(&text);
    }

    #[test]
    fn host_patterns_parse_back(
        text in "(https?://)?(\\*\\.)?[a-z0-9.\\[\\]:\\-]{0,20}(:[0-9]{1,6})?/?|\\PC{0,20}",
    ) {
        super::host_pattern(&text);
    }

    #[test]
    fn canonical_paths_have_one_reading_each(
        text in "/([a-c.;/?#]|%2[eEfF5]|%5[cC]|%3[bB]|%[0-9a-fA-F]{2}|\\PC){0,12}\n?/[ab*/]{0,12}",
    ) {
        super::canonical_path(&text);
    }

    #[test]
    fn destinations_have_one_reading(
        text in "((https?|ftp)://)?[a-zA-Z0-9.\\[\\]:@%\\-]{0,20}(:[0-9]{1,6})?([/?#\\\\].{0,4})?|\\PC{0,20}",
    ) {
        super::destination(&text);
    }

    #[test]
    fn masked_streams_do_not_depend_on_their_pieces(
        secret in "[a-c\\r\\n/%\"é]{0,14}", step in 0..20_u8, parts in prop::collection::vec(prop_oneof![Just(None), "[a-c\\r\\n/%]{0,6}".prop_map(Some)], 0..6),
    ) {
        let text: String = parts.into_iter().map(|part| part.unwrap_or_else(|| secret.clone())).collect();
        let length = u8::try_from(secret.len()).unwrap();
        super::mask(&[&[length, step], secret.as_bytes(), text.as_bytes()].concat());
    }

    #[test]
    fn import_files_reveal_no_secrets(
        bytes in prop_oneof![2 => almost_importable(), 1 => document(IMPORT_WORDS), 1 => "[a-zA-Z0-9,\"\n=_-]{0,80}".prop_map(String::into_bytes)],
    ) {
        super::import_files(&bytes);
    }

    #[test]
    fn unsealed_exports_do_not_open(
        rest in prop::collection::vec(any::<u8>(), 0..300),
        head in prop::sample::select(&["strongroom export 1\n", "strongroom export 2\n", ""][..]),
    ) {
        super::export_file(&[head.as_bytes(), &rest].concat());
    }

    #[test]
    fn records_open_unchanged_or_not_at_all(bytes in edits(0..3)) {
        super::record(&bytes);
    }

    #[test]
    fn keyring_changes_without_the_root_are_rejected(bytes in edits(0..6)) {
        super::keyring(&bytes);
    }

    #[test]
    fn slots_open_to_the_root_or_not_at_all(bytes in edits(0..2)) {
        super::slot(&bytes);
    }

    #[test]
    fn accepted_epoch_files_are_ours(bytes in edits(0..2)) {
        super::epoch_file(&bytes);
    }

    #[test]
    fn settings_are_valid_or_every_fault_has_a_line(text in configuration()) {
        super::config(&text);
    }

    #[test]
    fn bodies_are_valid_or_every_fault_has_a_place(bytes in document(BODY_WORDS)) {
        super::request_body(&bytes);
    }
}

proptest! {
    // Each case seals and opens ten to a hundred kilobytes.
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.min(2_000)))]

    #[test]
    fn backups_read_unchanged_or_not_at_all(bytes in edits(0..4)) {
        super::backup(&bytes);
    }
}

type Target = fn(&[u8]);

#[test]
fn the_fuzz_seeds_hold() {
    let targets: [(&str, Target); 21] = [
        ("canonical_path", |bytes| text(bytes, super::canonical_path)),
        ("destination", |bytes| text(bytes, super::destination)),
        ("mask", super::mask),
        ("token_response", super::token_response),
        ("scope_list", |bytes| text(bytes, super::scope_list)),
        ("callback_query", |bytes| text(bytes, super::callback_query)),
        ("url_template", |bytes| text(bytes, super::url_template)),
        ("metadata", super::metadata),
        ("key_set_and_token", super::key_set_and_token),
        ("json", super::json),
        ("callback_url", |bytes| text(bytes, super::callback_url)),
        ("host_pattern", |bytes| text(bytes, super::host_pattern)),
        ("request_body", super::request_body),
        ("import_files", super::import_files),
        ("export_file", super::export_file),
        ("record", super::record),
        ("keyring", super::keyring),
        ("slot", super::slot),
        ("backup", super::backup),
        ("epoch_file", super::epoch_file),
        ("config", |bytes| text(bytes, super::config)),
    ];
    for (name, target) in targets {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        let mut seeds = 0;
        for seed in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            target(&std::fs::read(seed.unwrap().path()).unwrap());
            seeds += 1;
        }
        assert!(seeds > 0, "{name} has no seed");
    }
}

fn text(bytes: &[u8], target: fn(&str)) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        target(text);
    }
}

#[test]
fn a_listed_host_must_be_a_name() {
    super::url_template("https://{a}\n!?'");
}
