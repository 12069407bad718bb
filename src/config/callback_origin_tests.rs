//! Callback URLs, allowed and refused, one line each.

use super::*;

fn origins(entries: &[&str], ports: LocalhostPorts) -> CallbackOrigins {
    CallbackOrigins::new(entries.iter().map(|entry| CallbackOrigin::parse_entry(entry).unwrap()).collect(), ports)
}

fn usual() -> CallbackOrigins {
    origins(
        &[
            "https://app.example.com",
            "https://bücher.example",
            "https://admin.example.com:8443",
            "http://localhost",
            "http://127.0.0.1:3000",
            "http://[::1]:3000",
            "com.example.app://callback",
            "https://192.0.2.7",
        ],
        LocalhostPorts::Any,
    )
}

#[test]
fn callbacks_of_configured_origins_are_allowed() {
    let allowed = [
        "https://app.example.com",
        "https://app.example.com/",
        "https://app.example.com/auth/callback?provider=github&x=%20",
        "https://APP.example.com/cb",
        "HTTPS://app.example.com/cb",
        "https://app.example.com:443/cb",
        "https://app.example.com:/cb",
        "https://app.example.com/a@b",
        "https://app.example.com?next=https://evil.example",
        "https://app.example.com/../x",
        "https://bücher.example/cb",
        "https://xn--bcher-kva.example/cb",
        "https://admin.example.com:8443/cb",
        "http://localhost/cb",
        "http://localhost:80/cb",
        "http://localhost:3000/cb",
        "http://localhost:65535/cb",
        "http://LOCALHOST:3000/cb",
        "http://127.0.0.1:3000/cb",
        "http://[::1]:3000/cb",
        "http://[0:0:0:0:0:0:0:1]:3000/cb",
        "com.example.app://callback",
        "com.example.app://callback/done?x=1",
        "COM.example.app://callback",
        "https://192.0.2.7/cb",
    ];
    let origins = usual();
    for url in allowed {
        assert_eq!(origins.check(url).as_ref().map(CallbackUrl::as_str), Ok(url));
    }
}

#[test]
fn other_callbacks_are_rejected_with_a_reason() {
    let refused = [
        // other origins
        ("https://evil.example/cb", "not a configured one"),
        ("https://app.example.com.evil.example/cb", "not a configured one"),
        ("https://evil-app.example.com/cb", "not a configured one"),
        ("https://sub.app.example.com/cb", "not a configured one"),
        ("https://app.example.com./cb", "not a configured one"),
        ("https://app.example.com:8443/cb", "not a configured one"),
        ("https://admin.example.com/cb", "not a configured one"),
        ("https://app.example.co/cb", "not a configured one"),
        ("https://аpp.example.com/cb", "not a configured one"),
        ("http://app.example.com/cb", "use https"),
        ("http://app.example.com:443/cb", "use https"),
        ("http://evil.example/cb", "use https"),
        // localhost and its neighbours
        ("https://localhost/cb", "not a configured one"),
        ("https://localhost:3000/cb", "not a configured one"),
        ("http://localhost./cb", "use https"),
        ("http://localhost.evil.example/cb", "use https"),
        ("http://app.localhost/cb", "use https"),
        ("http://127.0.0.1/cb", "not a configured one"),
        ("http://127.0.0.1:3001/cb", "not a configured one"),
        ("http://127.0.0.2:3000/cb", "not a configured one"),
        ("http://[::1]/cb", "not a configured one"),
        ("http://0.0.0.0:3000/cb", "use https"),
        ("http://[::ffff:127.0.0.1]:3000/cb", "IPv4 one inside IPv6"),
        // addresses in other clothes
        ("http://0177.0.0.1:3000/cb", "four decimal numbers"),
        ("http://0x7f.0.0.1:3000/cb", "four decimal numbers"),
        ("http://0x7f000001:3000/cb", "four decimal numbers"),
        ("http://2130706433:3000/cb", "four decimal numbers"),
        ("http://127.1:3000/cb", "four decimal numbers"),
        ("http://127.0.0.1.:3000/cb", "four decimal numbers"),
        ("http://127.0.0.01:3000/cb", "four decimal numbers"),
        ("http://１２７.0.0.1:3000/cb", "four decimal numbers"),
        ("https://3221225991/cb", "four decimal numbers"),
        // user info, fragments, characters
        ("https://user@app.example.com/cb", "user name"),
        ("https://user:pass@app.example.com/cb", "user name"),
        ("https://@app.example.com/cb", "user name"),
        ("https://app.example.com@evil.example/cb", "user name"),
        ("https://evil.example#@app.example.com/cb", "fragment"),
        ("https://app.example.com/cb#x", "fragment"),
        ("https://app.example.com/cb#", "fragment"),
        ("https://app.example.com\\@evil.example/cb", "backslash"),
        ("https:\\\\app.example.com/cb", "backslash"),
        ("https://app.example.com/a\\b", "backslash"),
        ("https://app.example.com/a b", "white space"),
        (" https://app.example.com/cb", "white space"),
        ("https://app.example.com/cb\n", "control character"),
        ("https://app.exam\tple.com/cb", "control character"),
        ("https://app.example.com/\0", "control character"),
        ("https://app.example.com/\u{7f}", "control character"),
        ("https://app.example.com/\u{a0}", "white space"),
        ("https://app.example.com/\u{2028}", "white space"),
        ("https://app.example.com/\u{85}", "control character"),
        // other schemes
        ("javascript://localhost/%0aalert(1)", "no callback may have"),
        ("javascript:alert(1)", "no callback may have"),
        ("data:text/html,x", "no callback may have"),
        ("data://app.example.com/x", "no callback may have"),
        ("file:///etc/passwd", "no callback may have"),
        ("file://localhost/etc/passwd", "no callback may have"),
        ("blob:https://app.example.com/1", "no callback may have"),
        ("about:blank", "no callback may have"),
        ("ws://localhost/cb", "no callback may have"),
        ("wss://app.example.com/cb", "no callback may have"),
        ("ftp://app.example.com/cb", "no callback may have"),
        ("view-source://app.example.com/cb", "no callback may have"),
        ("com.example.app:/callback", "opaque"),
        ("com.example.app:callback", "opaque"),
        ("com.example.app:///callback", "opaque"),
        ("com.example.app://other", "not a configured one"),
        ("com.example.app://CALLBACK", "not a configured one"),
        ("com.example.app://callback:80", "has no port"),
        ("com.example.app2://callback", "not a configured one"),
        ("com.example.app://localhost:3000/cb", "has no port"),
        ("com.example.app://localhost/cb", "not a configured one"),
        ("com.example.app://callback#x", "fragment"),
        // not URLs, or only after mending
        ("", "empty"),
        ("null", "not an absolute URL"),
        ("/cb", "not an absolute URL"),
        ("//app.example.com/cb", "not an absolute URL"),
        ("app.example.com/cb", "not an absolute URL"),
        ("https:app.example.com/cb", "no '//'"),
        ("https:/app.example.com/cb", "no '//'"),
        ("https:///app.example.com/cb", "no host"),
        ("https://", "not an absolute URL"),
        ("https://app.example.com:99999/cb", "not an absolute URL"),
        ("https://app.example.com:x/cb", "not an absolute URL"),
        ("https://[::1/cb", "not an absolute URL"),
        ("https://app.example.com%00.evil.example/cb", "not an absolute URL"),
        ("https://1.2.3.256/cb", "not an absolute URL"),
    ];
    let origins = usual();
    for (url, why) in refused {
        let reason = origins.check(url).expect_err(url).reason;
        assert!(reason.contains(why), "{url}: {reason}");
    }
}

#[test]
fn localhost_allows_any_port_of_a_configured_scheme() {
    let one = origins(&["https://localhost:3000"], LocalhostPorts::Any);
    assert!(one.check("https://localhost:9/cb").is_ok() && one.opens_every_localhost_port());
    assert!(one.check("http://localhost:3000/cb").is_err());
    let none = origins(&["http://127.0.0.1:3000"], LocalhostPorts::Any);
    assert!(none.check("http://localhost:3000/cb").is_err() && !none.opens_every_localhost_port());
    let exact = origins(&["http://localhost:3000"], LocalhostPorts::Exact);
    assert!(exact.check("http://localhost:3000/cb").is_ok() && !exact.opens_every_localhost_port());
    assert!(exact.check("http://localhost:3001/cb").is_err() && exact.check("http://localhost/cb").is_err());
    let app = origins(&["com.example.app://localhost"], LocalhostPorts::Any);
    assert!(app.check("com.example.app://localhost/x").is_ok() && !app.opens_every_localhost_port());
}

#[test]
fn an_empty_list_allows_nothing() {
    assert!(CallbackOrigins::default().check("http://localhost/cb").is_err());
    assert!(CallbackOrigins::default().is_empty());
}

#[test]
fn the_list_shows_each_origin_as_it_is_compared() {
    assert_eq!(
        origins(
            &["HTTPS://App.Example.com:443/", "http://localhost:80", "https://bücher.example:1"],
            LocalhostPorts::Any
        )
        .with(CallbackOrigin::parse_entry("http://localhost").unwrap())
        .list(),
        ["https://app.example.com", "http://localhost", "https://xn--bcher-kva.example:1"]
    );
}

#[test]
fn an_entry_that_is_not_an_origin_is_rejected() {
    for (entry, advice) in [
        ("http://app.example.com", "write \"https://app.example.com\""),
        ("https://app.example.com/cb", "write \"https://app.example.com\""),
        ("https://app.example.com?x", "write \"https://app.example.com\""),
        ("https://*.example.com", "write each origin in full"),
        ("*", "write each origin in full"),
        ("app.example.com", "write an origin as"),
        ("https://user@app.example.com", "user name"),
        ("https://0x7f000001", "four decimal numbers"),
        ("javascript://localhost", "no callback may have"),
        ("file:///", "write an origin as"),
        ("null", "write an origin as"),
        ("", "write an origin as"),
        ("http://0.0.0.0", "https://0.0.0.0"),
        ("com.example.app://1.2.3.4", "no IP address"),
    ] {
        let message = CallbackOrigin::parse_entry(entry).unwrap_err();
        assert!(message.contains(advice), "{entry}: {message}");
    }
}
