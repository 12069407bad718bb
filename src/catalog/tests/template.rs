//! A value can be one label under a fixed domain, or a host on the entry's list, and no other host.

use std::collections::BTreeMap;

use crate::catalog::entry::OAuth;
use crate::catalog::template::{Position, Template};

/// One whole label of the token host by the caller, one listed host by the callback, one listed
/// host by the answer.
const ENTRY: &str = r#"
authorize_url = "https://{tenant}.acme.example/authorize"
token_url = "https://{accounts}/{tenant}/token"
api_base_url = "https://{instance}/api?tenant={tenant}"
token_metadata = ["instance"]
callback_metadata = ["realm"]

[inputs.tenant]
pattern = ".*"
example = "t"

[inputs.accounts]
from = "callback"
member = "accounts-server"
hosts = ["accounts.acme.example", "accounts.acme.eu"]
example = "accounts.acme.eu"

[inputs.instance]
from = "token"
hosts = ["*.my.acme.example"]
example = "https://a.my.acme.example"
"#;

fn entry() -> OAuth {
    toml::from_str(ENTRY).unwrap()
}

fn given(name: &str, value: &str) -> BTreeMap<String, String> {
    [(name.to_owned(), value.to_owned())].into()
}

#[test]
fn a_placeholder_is_a_label_a_host_or_after_the_host() {
    for (text, position) in [
        ("https://{a}.acme.example/x", Position::Label),
        ("https://login.{a}.acme.example", Position::Label),
        ("https://{a}.acme.example:8443/x", Position::Label),
        ("https://{a}/x", Position::Host),
        ("https://{a}:8443/x", Position::Host),
        ("https://acme.example/{a}/x", Position::Beyond),
        ("https://acme.example/v{a}?x={a}", Position::Beyond),
    ] {
        let template = Template::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        assert!(template.names().all(|(name, there)| name == "a" && there == position), "{text}");
        assert!(template.url().is_none(), "nothing is sent to a template: {text}");
    }
}

#[test]
fn a_template_with_a_free_host_is_rejected() {
    for text in [
        "https://{a}.example/x",
        "https://acme.{a}/x",
        "https://acme.example.{a}/x",
        "https://x{a}.acme.example/x",
        "https://{a}x.acme.example/x",
        "https://{a}{b}.acme.example/x",
        "https://{a}{b}/x",
        "https://acme{a}/x",
        "https://acme.example:{a}/x",
        "https://{a}@acme.example/x",
        "https://u:{a}@acme.example/x",
        "http://{a}.acme.example/x",
        "{a}://acme.example/x",
        "{a}",
        "{a}/token",
        "https://acme.example/#{a}",
        "https://acme.example/{a",
        "https://acme.example/a}",
        "https://acme.example/{}",
        "https://acme.example/{a b}",
        "https://{a}\\.acme.example/x",
    ] {
        assert!(Template::parse(text).is_err(), "{text}");
    }
}

#[test]
fn callers_cannot_choose_the_host() {
    let entry = entry();
    for value in [
        "evil.example",
        "evil.example/",
        "evil.example#",
        "evil.example?",
        "evil.example\\",
        "evil.example:443",
        "@evil.example",
        "a@evil.example",
        "a:b@evil.example",
        "//evil.example",
        "https://evil.example",
        "%2e",
        "evil.example%2f",
        "evil%2eexample",
        "a.b",
        ".",
        "..",
        "-a",
        "a-",
        "ａ",
        "evil。example",
        "a b",
        "a\tb",
        "a\r\nHost: evil.example",
        "",
        "\u{0}",
        "{accounts}",
        "[::1]",
        &"a".repeat(64),
    ] {
        let url = entry
            .callers_values(&given("tenant", value))
            .map(|values| entry.with_values(&values).map(|entry| entry.authorize_url.url().cloned()));
        assert!(!matches!(url, Ok(Ok(_))), "{value}: {url:?}");
    }
    let values = entry.callers_values(&given("tenant", "Acme-1")).unwrap();
    assert_eq!(entry.with_values(&values).unwrap().authorize_url.as_str(), "https://acme-1.acme.example/authorize");
}

#[test]
fn callbacks_cannot_choose_the_token_host() {
    let entry = entry();
    for value in [
        "evil.example",
        "https://evil.example",
        "https://accounts.acme.eu.evil.example",
        "https://evil.example/accounts.acme.eu",
        "https://accounts.acme.eu@evil.example",
        "https://accounts.acme.eu:8443",
        "https://accounts.acme.eu/x",
        "https://accounts.acme.eu//",
        "https://accounts.acme.eu?",
        "https://accounts.acme.eu#",
        "http://accounts.acme.eu",
        "//accounts.acme.eu",
        "https:/accounts.acme.eu",
        "https://https://accounts.acme.eu",
        "accounts.acme.eu.",
        " accounts.acme.eu",
        "accounts.acme.eu\n",
        "accounts.acme.eu\\@evil.example",
        "x.accounts.acme.eu",
        "accounts。acme.eu",
        "%61ccounts.acme.eu",
        "",
        "127.0.0.1",
    ] {
        assert!(entry.callbacks_values(&given("accounts-server", value)).is_err(), "{value:?}");
    }
    assert!(entry.callbacks_values(&BTreeMap::new()).is_err(), "and there is no default");
    for value in ["https://accounts.acme.eu", "https://accounts.acme.eu/", "ACCOUNTS.acme.eu"] {
        let mut values = entry.callbacks_values(&given("accounts-server", value)).unwrap();
        values.extend(given("tenant", "a/../b?c#d"));
        assert!(entry.with_values(&values).is_err(), "{value}: the tenant is a label elsewhere");
        values.extend(given("tenant", "t"));
        assert_eq!(
            entry.with_values(&values).unwrap().token_url.as_str(),
            "https://accounts.acme.eu/t/token",
            "{value}"
        );
    }
}

#[test]
fn a_token_response_names_one_label_of_the_host() {
    let entry = entry();
    let values = |value: &str| entry.token_values(&[("instance".to_owned(), value.into())].into());
    for bad in [
        "https://evil.example",
        "https://my.acme.example",
        "https://a.b.my.acme.example",
        "https://evil.my.acme.example.evil.example",
        "https://.my.acme.example",
        "https://-.my.acme.example",
    ] {
        assert!(values(bad).is_err(), "{bad}");
    }
    let mut good = values("https://a--b.my.acme.example").unwrap();
    good.extend(given("tenant", "t"));
    let filled = entry.with_values(&good).unwrap();
    assert_eq!(filled.api_base_url.as_ref().unwrap().as_str(), "https://a--b.my.acme.example/api?tenant=t");
    assert!(filled.token_url.url().is_none(), "nobody said where the accounts are");
}

#[test]
fn a_value_in_a_path_or_a_query_stays_in_its_place() {
    let oauth: OAuth = toml::from_str(
        "authorize_url = \"https://acme.example/{realm}/authorize?realm={realm}\"\ntoken_url = \"https://acme.example/token\"\n[inputs.realm]\npattern = \"[^x]*\"\nexample = \"a\"",
    ).unwrap();
    let url =
        |value: &str| oauth.with_values(&given("realm", value)).map(|entry| entry.authorize_url.as_str().to_owned());
    assert_eq!(
        url("a/../?b&c=#%é").unwrap(),
        "https://acme.example/a%2F..%2F%3Fb%26c%3D%23%25%C3%A9/authorize?realm=a%2F..%2F%3Fb%26c%3D%23%25%C3%A9"
    );
    for bad in ["", ".", "..", "x", "a\nb"] {
        assert!(url(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn kept_values_are_checked_again() {
    let mut entry = entry();
    let mut metadata = BTreeMap::new();
    let values: BTreeMap<_, _> = [("tenant", "t"), ("accounts", "accounts.acme.eu")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let callback = [("realm", "7"), ("state", "s")].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    entry.keep_values(&mut metadata, values, Some(&callback));
    assert_eq!(metadata["callback"], serde_json::json!({"realm": "7"}));
    assert_eq!(entry.for_credential(&metadata).unwrap().token_url.as_str(), "https://accounts.acme.eu/t/token");
    entry.inputs.get_mut("accounts").unwrap().hosts = Some(vec!["accounts.acme.example".to_owned()]);
    assert!(entry.for_credential(&metadata).is_err(), "the list is another one now");
}

#[test]
fn a_missing_input_is_named_with_an_example() {
    let told = |given: BTreeMap<String, String>| {
        entry().callers_values(&given).unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(told(BTreeMap::new()), ["'tenant' is missing; for example \"t\""]);
    let besides = [given("tenant", "t"), given("accounts", "evil.example")].into_iter().flatten().collect();
    let values = entry().callers_values(&besides).unwrap();
    assert_eq!(values, given("tenant", "t"), "what is the callback's to say is not the caller's");
}

#[test]
fn a_placeholder_in_the_host_is_not_a_path() {
    for text in
        ["https:/{v}/x", "https:///{v}/x", "https:{v}/x", "https:/.{v}.acme.example/x", "HTTPS:/{v}", "https://?{v}"]
    {
        assert!(Template::parse(text).is_err(), "{text}");
    }
    assert!(Template::parse("http://127.0.0.1:1/{v}").is_ok());
}
