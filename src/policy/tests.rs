//! Decisions: the table of cases, and the properties that hold for all grants and requests.

use http::Method;
use proptest::prelude::*;

use super::*;
use crate::clock::UnixTime;
use crate::id::{CredentialId, ProviderName};

const NOW: UnixTime = UnixTime(1_800_000_000);
const ONE: &str = "00000000-0000-7000-8000-000000000001";
const TWO: &str = "00000000-0000-7000-8000-000000000002";

/// A request with its own values, from which [`RequestFacts`] borrow.
#[derive(Clone, Debug)]
struct Sent {
    provider: ProviderName,
    credential: CredentialId,
    destination: Destination,
    method: Method,
    path: CanonicalPath,
}

impl Sent {
    fn new(method: &str, url: &str) -> Self {
        let (destination, path) = Destination::parse_absolute(url).unwrap();
        Self {
            provider: "github".parse().unwrap(),
            credential: ONE.parse().unwrap(),
            destination,
            method: method.parse().unwrap(),
            path: CanonicalPath::parse(&path).unwrap_or_else(|error| panic!("{url}: {error}")),
        }
    }

    fn facts(&self) -> RequestFacts<'_> {
        RequestFacts {
            provider: &self.provider,
            credential: self.credential,
            destination: &self.destination,
            method: &self.method,
            path: &self.path,
        }
    }
}

fn grant(effect: Effect) -> KeyGrant {
    let (providers, credentials, hosts, methods, paths) = Default::default();
    KeyGrant {
        id: ONE.parse().unwrap(),
        key: ONE.parse().unwrap(),
        effect,
        providers,
        credentials,
        hosts,
        methods,
        paths,
    }
}

fn allow() -> KeyGrant {
    grant(Effect::Allow(AllowTerms::default()))
}

fn deny() -> KeyGrant {
    grant(Effect::Deny)
}

fn ask() -> KeyGrant {
    grant(Effect::Allow(AllowTerms { approval: Approval::Always, ..AllowTerms::default() }))
}

fn list<T: std::str::FromStr>(texts: &[&str]) -> Vec<T>
where
    T::Err: std::fmt::Debug,
{
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn decide<'g>(grants: &'g [KeyGrant], sent: &Sent) -> PolicyDecision<'g> {
    KeyRules { grants_only: true, grants }.decide(&sent.facts(), NOW)
}

#[test]
fn deny_wins_over_every_allow() {
    let sent = Sent::new("GET", "https://api.github.com/repos/a/b");
    let narrow = KeyGrant { paths: list(&["/repos/**"]), ..deny() };
    for grants in [[allow(), narrow.clone()], [narrow.clone(), allow()], [ask(), narrow]] {
        assert!(matches!(decide(&grants, &sent), PolicyDecision::DeniedByGrant(_)));
    }
}

#[test]
fn grants_only_key_needs_an_allow() {
    let sent = Sent::new("GET", "https://api.github.com/");
    assert_eq!(decide(&[], &sent), PolicyDecision::DeniedByDefault);
    let free = KeyRules { grants_only: false, grants: &[] };
    assert_eq!(free.decide(&sent.facts(), NOW), PolicyDecision::Allowed(vec![]));
    let denies = [deny()];
    let free = KeyRules { grants_only: false, grants: &denies };
    assert!(free.decide(&sent.facts(), NOW).is_denied(), "a deny holds for every key");
}

#[test]
fn any_matching_allow_can_ask_for_approval() {
    let sent = Sent::new("POST", "https://api.github.com/");
    for grants in [[allow(), ask()], [ask(), allow()]] {
        let PolicyDecision::NeedsApproval { rule, grants } = decide(&grants, &sent) else { panic!() };
        assert_eq!((rule.allowance().unwrap().approval, grants.len()), (Approval::Always, 2));
    }
    let other = KeyGrant { methods: list(&["GET"]), ..ask() };
    assert!(matches!(decide(&[allow(), other], &sent), PolicyDecision::Allowed(grants) if grants.len() == 1));
}

#[test]
fn allow_ends_at_its_expiry_and_deny_never() {
    let sent = Sent::new("GET", "https://api.github.com/");
    let until =
        |expires| [grant(Effect::Allow(AllowTerms { expires: Some(UnixTime(expires)), ..AllowTerms::default() }))];
    assert!(!decide(&until(NOW.0 + 1), &sent).is_denied());
    assert!(decide(&until(NOW.0), &sent).is_denied() && decide(&until(0), &sent).is_denied());
    let rules = KeyRules { grants_only: true, grants: &[allow(), deny()] };
    assert!(rules.decide(&sent.facts(), UnixTime(i64::MAX)).is_denied());
}

#[test]
fn every_condition_must_match() {
    let sent = Sent::new("GET", "https://api.github.com/repos/a/b");
    let met = KeyGrant {
        providers: list(&["google", "github"]),
        credentials: list(&[TWO, ONE]),
        hosts: list(&["github.com", "*.github.com"]),
        methods: list(&["POST", "GET"]),
        paths: list(&["/user", "/repos/**"]),
        ..allow()
    };
    assert_eq!(met.mismatch(&sent.facts(), NOW), None);
    for (unmet, mismatch) in [
        (KeyGrant { providers: list(&["google"]), ..met.clone() }, Mismatch::Provider),
        (KeyGrant { credentials: list(&[TWO]), ..met.clone() }, Mismatch::Credential),
        (KeyGrant { hosts: list(&["github.com"]), ..met.clone() }, Mismatch::Host),
        (KeyGrant { hosts: list(&["api.github.com:8443"]), ..met.clone() }, Mismatch::Host),
        (KeyGrant { hosts: list(&["http://api.github.com"]), ..met.clone() }, Mismatch::Host),
        (KeyGrant { methods: list(&["POST"]), ..met.clone() }, Mismatch::Method),
        (KeyGrant { paths: list(&["/repos/*"]), ..met.clone() }, Mismatch::Path),
    ] {
        assert_eq!(unmet.mismatch(&sent.facts(), NOW), Some(mismatch));
        assert!(decide(&[unmet], &sent).is_denied());
    }
}

#[test]
fn no_spelling_of_a_path_avoids_a_deny() {
    let admin = KeyGrant { paths: list(&["/admin/**", "/a/*/secret"]), ..deny() };
    for path in [
        "/admin",
        "/admin/",
        "/admin/x",
        "/%61dmin/x",
        "//admin/x",
        "/admin;v=1/x",
        "/admin%3Bv/x",
        "/admin%2Fx",
        "/admin%252Fx",
        "/admin%5Cx",
        "/%2Fadmin/x",
        "/;x/admin/x",
        "/a/b%2Fc/secret",
        "/a//b%2Fc/secret",
        "/a/b;c/secret;d",
        "/a/b/secret/",
    ] {
        let sent = Sent::new("GET", &format!("https://api.github.com{path}"));
        assert!(decide(&[allow(), admin.clone()], &sent).is_denied(), "{path}");
    }
    for path in ["/administrator", "/x/admin", "/a/secret", "/a/b/c/secret"] {
        let sent = Sent::new("GET", &format!("https://api.github.com{path}"));
        assert!(!decide(&[allow(), admin.clone()], &sent).is_denied(), "{path}");
    }
}

#[test]
fn allow_matches_the_exact_path_only() {
    let public = KeyGrant { paths: list(&["/public/*", "/o/*"]), ..allow() };
    for (path, is_allowed) in [
        ("/public/x", true),
        ("/o/a%2Fb", true),
        ("/public%2Fx", false),
        ("//public/x", false),
        ("/public;v/x", false),
        ("/public//", false),
        ("/public/", false),
    ] {
        let sent = Sent::new("GET", &format!("https://api.github.com{path}"));
        assert_eq!(!decide(std::slice::from_ref(&public), &sent).is_denied(), is_allowed, "{path}");
    }
}

#[test]
fn explanation_names_the_deciding_rule() {
    let sent = Sent::new("GET", "https://api.github.com/repos");
    let other = KeyGrant { id: TWO.parse().unwrap(), paths: list(&["/user"]), ..allow() };
    let explain =
        |grants: &[KeyGrant], grants_only| KeyRules { grants_only, grants }.explain(&sent.facts(), NOW).to_string();
    let missed = format!("grant {TWO} does not match: the path is not in it");
    assert_eq!(explain(&[other.clone(), allow()], true), format!("allowed by grant {ONE}\n{missed}"));
    assert_eq!(explain(&[ask()], true), format!("needs approval: grant {ONE} asks for it"));
    assert_eq!(explain(&[deny()], true), format!("denied by grant {ONE}"));
    assert_eq!(explain(&[other], true), format!("denied: no grant of the key allows the request\n{missed}"));
    assert_eq!(explain(&[], false), "allowed: the key is not limited to grants");
}

#[test]
fn rates_of_all_matching_allows_count() {
    let rated =
        |rate: &str| grant(Effect::Allow(AllowTerms { rate: Some(rate.parse().unwrap()), ..AllowTerms::default() }));
    let other = KeyGrant { methods: list(&["PUT"]), ..rated("1/d") };
    let grants = [rated("60/m"), allow(), other, rated("5/s")];
    let counted: Vec<_> =
        decide(&grants, &Sent::new("GET", "https://a.example/")).rates().map(|(_, rate)| rate).collect();
    assert_eq!(counted, list::<Rate>(&["60/m", "5/s"]));
    assert_eq!(decide(&[deny()], &Sent::new("GET", "https://a.example/")).rates().count(), 0);
}

/// Up to two of the texts.
fn some<T: std::str::FromStr + Clone + std::fmt::Debug>(texts: &'static [&'static str]) -> impl Strategy<Value = Vec<T>>
where
    T::Err: std::fmt::Debug,
{
    prop_oneof![Just(Vec::new()), prop::sample::subsequence(texts, 1..3).prop_map(|texts| list(&texts))]
}

fn any_effect() -> impl Strategy<Value = Effect> {
    let allowance = (any::<bool>(), prop::option::of(-2..3_i64)).prop_map(|(asks, expires)| {
        let approval = if asks { Approval::Always } else { Approval::Never };
        let expires = expires.map(|seconds| UnixTime(NOW.0 + seconds));
        Effect::Allow(AllowTerms { approval, expires, rate: None })
    });
    prop_oneof![1 => Just(Effect::Deny), 3 => allowance]
}

fn any_grant() -> impl Strategy<Value = KeyGrant> {
    let lists = (
        some(&["github", "google"]),
        some(&[ONE, TWO]),
        some(&["api.github.com", "*.github.com", "a.example", "http://a.example"]),
        some(&["GET", "HEAD", "POST"]),
        some(&["/a", "/a/*", "/a/**", "/**/b", "/a*/b", "/*", "/a/b/"]),
    );
    (any_effect(), lists).prop_map(|(effect, (providers, credentials, hosts, methods, paths))| KeyGrant {
        providers,
        credentials,
        hosts,
        methods,
        paths,
        ..grant(effect)
    })
}

/// A spelling of a request for one of a few paths; many spellings are equal when canonical.
fn any_request() -> impl Strategy<Value = Sent> {
    let path = "/(a|%61|b|ab|;x|%2F|/){1,4}/?";
    let host = prop::sample::select(vec!["api.github.com", "API.github.com:443", "a.example", "A.EXAMPLE"]);
    let method = prop::sample::select(vec!["GET", "HEAD", "POST", "get"]);
    (method, host, path, any::<bool>(), any::<bool>()).prop_map(|(method, host, path, github, one)| Sent {
        provider: if github { "github" } else { "google" }.parse().unwrap(),
        credential: if one { ONE } else { TWO }.parse().unwrap(),
        ..Sent::new(method, &format!("https://{host}{path}"))
    })
}

/// Drops one of the conditions of an allow.
fn widened(grant: &KeyGrant, which: usize) -> KeyGrant {
    let mut wider = grant.clone();
    match (which, &mut wider.effect) {
        (0, _) => wider.providers.clear(),
        (1, _) => wider.credentials.clear(),
        (2, _) => wider.hosts.clear(),
        (3, _) => wider.methods.clear(),
        (4, _) => wider.paths.clear(),
        (_, Effect::Allow(allowance)) => allowance.expires = None,
        (_, Effect::Deny) => {}
    }
    wider
}

proptest! {
    #[test]
    fn adding_a_deny_never_allows(
        grants in prop::collection::vec(any_grant(), 0..5),
        deny in any_grant(),
        at in any::<prop::sample::Index>(),
        sent in any_request(),
        grants_only in any::<bool>(),
    ) {
        let before = KeyRules { grants_only, grants: &grants }.decide(&sent.facts(), NOW).is_denied();
        let mut more = grants.clone();
        more.insert(at.index(grants.len() + 1), KeyGrant { effect: Effect::Deny, ..deny });
        let after = KeyRules { grants_only, grants: &more }.decide(&sent.facts(), NOW).is_denied();
        prop_assert!(after || !before);
    }

    #[test]
    fn widening_an_allow_never_denies(
        grants in prop::collection::vec(any_grant(), 1..5),
        at in any::<prop::sample::Index>(),
        which in 0..6_usize,
        sent in any_request(),
        grants_only in any::<bool>(),
    ) {
        let at = at.index(grants.len());
        if grants[at].is_deny() {
            return Ok(());
        }
        let before = KeyRules { grants_only, grants: &grants }.decide(&sent.facts(), NOW).is_denied();
        let mut wider = grants.clone();
        wider[at] = widened(&grants[at], which);
        let after = KeyRules { grants_only, grants: &wider }.decide(&sent.facts(), NOW).is_denied();
        prop_assert!(before || !after);
    }

    #[test]
    fn equal_canonical_requests_decide_alike(
        grants in prop::collection::vec(any_grant(), 0..5),
        host in prop::sample::select(vec!["api.github.com", "a.example"]),
        path in "/(a|b|ab|;x|%2F|%25|/|~){1,4}/?",
        method in prop::sample::select(vec!["GET", "HEAD", "POST"]),
    ) {
        let sent = Sent::new(method, &format!("https://{host}{path}"));
        let path = path.replace('a', "%61").replace("%2F", "%2f").replace('~', "%7e");
        let respelled = Sent::new(method, &format!("HTTPS://{}:443{path}", host.to_uppercase()));
        prop_assert_eq!(&respelled.path, &sent.path);
        prop_assert_eq!(&respelled.destination, &sent.destination);
        prop_assert_eq!(decide(&grants, &sent), decide(&grants, &respelled));
    }

    #[test]
    fn order_of_grants_does_not_change_the_outcome(
        grants in prop::collection::vec(any_grant(), 0..5),
        sent in any_request(),
    ) {
        let reversed: Vec<_> = grants.iter().rev().cloned().collect();
        let outcome = |grants: &[KeyGrant]| {
            let decision = decide(grants, &sent);
            (decision.is_denied(), matches!(decision, PolicyDecision::NeedsApproval { .. }))
        };
        prop_assert_eq!(outcome(&grants), outcome(&reversed));
    }
}
