//! The ways in which a provider can misbehave: what it says, and what a token request is to come to then. The same answers
//! are given at the identity and the revocation endpoint.

mod transport;

use super::hostile::{Step, answer};

/// Stands in every answer where it has no business being, and may be in no answer and no log of ours.
pub const PLANTED: &str = "planted-s3cr3t-7Qx";

/// The code and the client's secret of these tests, which a provider may say again.
pub const CODE: &str = "the-s3cr3t/code";
pub const CLIENT_SECRET: &str = "cl13nt-s3cr3t";

/// Outcome of a token request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The tokens are taken: the answer is odd, and says all that is needed.
    Taken,
    /// 400: the provider refuses.
    Refused,
    /// 502: the response is unreadable, or missing.
    Garbage,
    /// 504: it takes too long.
    Slow,
}

/// One way to misbehave.
pub struct Misbehaviour {
    pub name: String,
    pub steps: Vec<Step>,
    /// Outcome of a token request.
    pub outcome: Outcome,
    /// Text in the error.
    pub says: &'static str,
    /// True if it would confirm a revocation: any complete success response without an error.
    pub confirms: bool,
}

use Outcome::{Garbage, Refused, Slow, Taken};

const UNREADABLE: &str = "it is neither a JSON object nor form-encoded";
const BAD_TOKEN: &str = "its member 'access_token' is malformed";
const NO_TOKEN: &str = "it has no access token";
const SLOW: &str = "no complete response in time";

/// Every misbehaviour without a delay. `server` is the provider, `elsewhere` a server that no redirect may reach.
pub fn instant(server: &str, elsewhere: &str) -> Vec<Misbehaviour> {
    let mut all = transport::redirects(server, elsewhere);
    all.extend(bodies());
    all.extend(refusals());
    all.extend(tokens());
    all.extend(expiries());
    all.extend(scopes());
    all.extend(transport::statuses());
    all.extend(transport::framing());
    all.extend(transport::sizes());
    all
}

/// Every way that is over only when a limit strikes.
pub fn slow() -> Vec<Misbehaviour> {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n".to_vec();
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n".to_vec();
    let cases: [(&str, Vec<Step>); 8] = [
        ("it never answers", vec![Step::Hang]),
        ("it stops behind the status line", vec![Step::Say(b"HTTP/1.1 200 OK\r\n".to_vec()), Step::Hang]),
        ("it drips its head", vec![Step::Say(b"HTTP/1.1 200 OK\r\nX: ".to_vec()), Step::Drip(b"x".to_vec())]),
        ("it stops behind the head", vec![Step::Say(head.clone()), Step::Hang]),
        ("it drips its body", vec![Step::Say(head), Step::Drip(b" ".to_vec())]),
        ("it stops between two chunks", vec![Step::Say(chunked.clone()), Step::Hang]),
        ("it drips chunks", vec![Step::Say(chunked), Step::Drip(b"1\r\n \r\n".to_vec())]),
        ("it says 100 for ever", vec![Step::Repeat(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec())]),
    ];
    cases.into_iter().map(|(name, steps)| Misbehaviour::new(name, steps, Slow, SLOW, false)).collect()
}

impl Misbehaviour {
    fn new(name: &str, steps: Vec<Step>, outcome: Outcome, says: &'static str, confirms: bool) -> Self {
        Self { name: name.to_owned(), steps, outcome, says, confirms }
    }

    fn raw(name: &str, bytes: impl Into<Vec<u8>>, outcome: Outcome, says: &'static str, confirms: bool) -> Self {
        Self::new(name, vec![Step::Say(bytes.into())], outcome, says, confirms)
    }

    /// A whole answer of success.
    fn ok(name: &str, kind: &str, body: impl AsRef<[u8]>, outcome: Outcome, says: &'static str) -> Self {
        Self::raw(name, answer("200 OK", kind, body), outcome, says, outcome != Refused)
    }

    /// A token answer with further members.
    fn with(name: &str, members: &str, outcome: Outcome, says: &'static str) -> Self {
        let body = format!(r#"{{"token_type":"bearer","planted":"{PLANTED}",{members}}}"#);
        Self::ok(name, "application/json", body, outcome, says)
    }
}

fn bodies() -> Vec<Misbehaviour> {
    let page = format!("<!doctype html><p>{PLANTED}</p>access_token={PLANTED}&token_type=bearer");
    let good = format!(r#"{{"access_token":"at","token_type":"bearer","x":"{PLANTED}"}}"#);
    let deep = |open: &str, close: &str| format!("{}{}", open.repeat(10_000), close.repeat(10_000));
    let inside = |value: &str| format!(r#"{{"access_token":"at","token_type":"bearer","x":{value}}}"#);
    let json = "application/json";
    let unread = |name: &str, kind: &str, body: &[u8]| Misbehaviour::ok(name, kind, body, Garbage, UNREADABLE);
    // The response is read, but there is no one token in it.
    let bad_token = |name: &str, kind: &str, body: &[u8]| Misbehaviour::ok(name, kind, body, Garbage, BAD_TOKEN);
    vec![
        unread("a page", "text/html", page.as_bytes()),
        unread("a page that is called JSON", json, page.as_bytes()),
        unread("nothing", json, b""),
        unread("white space", json, b" \r\n "),
        Misbehaviour::raw("204", "HTTP/1.1 204 No\r\nConnection: close\r\n\r\n", Garbage, UNREADABLE, true),
        unread("an array", json, format!("[{good}]").as_bytes()),
        unread("null", json, b"null"),
        unread("a text", json, format!("\"{PLANTED}\"").as_bytes()),
        unread("a number", json, b"7"),
        unread("two objects", json, format!("{good}{good}").as_bytes()),
        unread("an object that is cut", json, &good.as_bytes()[..good.len() - 1]),
        unread("objects, 10,000 deep", json, deep("{\"a\":", "}").as_bytes()),
        unread("arrays, 10,000 deep, inside", json, inside(&deep("[", "]")).as_bytes()),
        bad_token("a member twice", json, br#"{"access_token":"a","token_type":"bearer","access_token":"b"}"#),
        bad_token(
            "a member twice, once escaped",
            json,
            br#"{"access_token":"a","token_type":"bearer","\u0061ccess_token":"b"}"#,
        ),
        Misbehaviour::ok("a member twice inside another", json, inside(r#"{"y":1,"y":2}"#), Taken, ""),
        bad_token("a form with a member twice", "text/plain", b"access_token=a&token_type=bearer&access_token=b"),
        unread("a form that is called JSON", json, b"access_token=a&token_type=bearer"),
        bad_token("bytes that are no UTF-8", json, b"{\"access_token\":\"a\xff\",\"token_type\":\"bearer\"}"),
        bad_token("half a surrogate", json, br#"{"access_token":"a\ud800","token_type":"bearer"}"#),
        unread("UTF-16", json, &good.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()),
        unread("NaN", json, inside("NaN").as_bytes()),
        unread("a picture", "image/png", b"\x89PNG\r\n\x1a\n"),
        Misbehaviour::ok("JSON that is called a picture", "image/png", good, Taken, ""),
        Misbehaviour::ok("a form that is called a page", "text/html", "access_token=at&token_type=bearer", Taken, ""),
    ]
}

fn refusals() -> Vec<Misbehaviour> {
    let refused = |name: &str, body: &str, says| Misbehaviour::ok(name, "application/json", body, Refused, says);
    let good = r#""access_token":"at","token_type":"bearer""#;
    let echo = format!("{CODE} {CLIENT_SECRET} code={}", CODE.replace('/', "%2F"));
    vec![
        refused(
            "200 with an error beside a token",
            &format!(r#"{{"error":"invalid_grant",{good}}}"#),
            "tokens: invalid_grant",
        ),
        refused("200 with ok: false", &format!(r#"{{"ok":false,{good}}}"#), "the response is not ok"),
        refused(
            "200 with an error that is an object",
            r#"{"error":{"type":"nope","message":"said so"}}"#,
            "nope: said so",
        ),
        refused("200 with an error that is a list", &format!(r#"{{"error":["{PLANTED}"]}}"#), "tokens: error"),
        refused(
            "control characters in an error",
            "{\"error\":\"a\\r\\nSet-Cookie: x\\u001b[2J\\u202e\"}",
            "tokens: aSet-Cookie: x[2J",
        ),
        refused(
            "our secrets in an error",
            &format!(r#"{{"error":"x","error_description":"{echo}"}}"#),
            "x: [masked] [masked] code=[masked]",
        ),
        refused("an error without an end", &format!(r#"{{"error":"{}"}}"#, "e".repeat(900_000)), "eee…"),
        Misbehaviour::raw(
            "400 with a token",
            answer("400 No", "application/json", format!("{{{good}}}")),
            Garbage,
            "status 400",
            false,
        ),
    ]
}

fn tokens() -> Vec<Misbehaviour> {
    let bad = BAD_TOKEN;
    let megabyte = "x".repeat(1_000_000);
    let with = |name: &str, members: &str, says| Misbehaviour::with(name, members, Garbage, says);
    vec![
        with("no access token", r#""refresh_token":"rt""#, NO_TOKEN),
        with("an empty access token", r#""access_token":"""#, NO_TOKEN),
        with("an access token that is null", r#""access_token":null"#, NO_TOKEN),
        with("a line end in a token", r#""access_token":"a\r\nX-Injected: y""#, bad),
        with("a NUL in a token", r#""access_token":"a\u0000b""#, bad),
        with("a blank in a token", r#""access_token":"a b""#, bad),
        with("a token beyond ASCII", r#""access_token":"tök€n""#, bad),
        with("a token of a megabyte", &format!(r#""access_token":"{megabyte}""#), bad),
        with("a token that is a number", r#""access_token":12345"#, bad),
        with("a token that is a list", r#""access_token":["a"]"#, bad),
        with("a token that is an object", r#""access_token":{"a":"b"}"#, bad),
        with("a token that is true", r#""access_token":true"#, bad),
        with(
            "a refresh token with a line end",
            r#""access_token":"a","refresh_token":"b\n""#,
            "'refresh_token' is malformed",
        ),
        with(
            "a refresh token that is a list",
            r#""access_token":"a","refresh_token":[]"#,
            "'refresh_token' is malformed",
        ),
        with(
            "a refresh token of a megabyte",
            &format!(r#""access_token":"a","refresh_token":"{megabyte}""#),
            "'refresh_token' is malformed",
        ),
        Misbehaviour::ok("no token type", "application/json", r#"{"access_token":"a"}"#, Garbage, "token_type"),
        Misbehaviour::ok(
            "a token type of its own",
            "application/json",
            r#"{"access_token":"a","token_type":"mac"}"#,
            Garbage,
            "token_type",
        ),
        Misbehaviour::ok(
            "a token type that is a list",
            "application/json",
            r#"{"access_token":"a","token_type":["bearer"]}"#,
            Garbage,
            "token_type",
        ),
    ]
}

fn expiries() -> Vec<Misbehaviour> {
    let odd = [
        "-1",
        "0",
        "-0.0",
        "1e308",
        "0.4",
        r#""soon""#,
        r#""NaN""#,
        r#""inf""#,
        r#""1e400""#,
        "[3600]",
        "true",
        "{}",
        "null",
    ];
    let with = |value: &str| format!(r#""access_token":"at","expires_in":{value}"#);
    let mut all: Vec<_> =
        odd.iter().map(|value| Misbehaviour::with(&format!("expires_in {value}"), &with(value), Taken, "")).collect();
    all.push(Misbehaviour::with("expires_in 1e400", &with("1e400"), Garbage, UNREADABLE));
    all
}

/// Scopes that cannot be read count as the requested ones: no fresh token is thrown away for them.
fn scopes() -> Vec<Misbehaviour> {
    let with = |name: &str, scope: &str| {
        Misbehaviour::with(name, &format!(r#""access_token":"at","scope":{scope}"#), Taken, "")
    };
    let many: Vec<String> = (0..12_000).map(|n| format!("\"{n:x}\"")).collect();
    let more: Vec<String> = (0..100_000).map(|n| format!("\"{n:x}\"")).collect();
    vec![
        with("scopes as a list", r#"["a","b"]"#),
        with("no scopes at all", r#""""#),
        with("scopes that are separators", r#"" , ,+ ,""#),
        with("scopes that are null", "null"),
        with("12,000 scopes", &format!("[{}]", many.join(","))),
        with("100,000 scopes", &format!("[{}]", more.join(","))),
        with("a scope of a megabyte", &format!("\"{}\"", "s".repeat(1_000_000))),
        with("a scope that is a number", "7"),
        with("a scope that is true", "true"),
        with("a scope that is an object", r#"{"read":true}"#),
        with("a list of lists", r#"[["a"]]"#),
        with("a control character in a scope", r#""a\u0007b""#),
    ]
}
