//! `strongroom connect --paste`: the browser runs on another machine, so the operator pastes the
//! address at which the login ended.

use std::io::BufRead as _;

use tokio::sync::mpsc;
use url::Url;

use super::authorization_response::AuthorizationResponse;
use crate::cli::failure::Failure;
use crate::cli::output::note;
use crate::secret::Secret;

/// Reads standard input until a line is the address of this login.
pub(in crate::cli) async fn pasted_address(
    redirect_uri: &str,
    state: &Secret,
) -> Result<AuthorizationResponse, Failure> {
    let (send, mut lines) = mpsc::channel(1);
    // Not a task of the runtime, because the runtime would wait for it at the end.
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let is_end = line.is_err();
            if send.blocking_send(line.unwrap_or_default()).is_err() || is_end {
                return;
            }
        }
    });
    while let Some(line) = lines.recv().await {
        if line.trim().is_empty() {
            continue;
        }
        match read(&line, redirect_uri, state) {
            Ok(response) => return Ok(response),
            Err(why) => note(format!("{why} Paste the address of the page at which the login ended:")),
        }
    }
    Err(Failure::new("standard input ended without the address of this login; no account was connected")
        .advise("run the command again and paste the whole address, which begins with the redirect URI"))
}

/// Reads a pasted address. Browsers hide `http://`, and terminals may add quotes.
fn read(line: &str, redirect_uri: &str, state: &Secret) -> Result<AuthorizationResponse, String> {
    let text = line.trim().trim_matches(['"', '\'', '<', '>']);
    let host = redirect_uri.trim_start_matches("http://");
    let text = if text.starts_with(host) { format!("http://{text}") } else { text.to_owned() };
    let mut url = Url::parse(&text).map_err(|_| "This is not an address.".to_owned())?;
    let query = url.query().unwrap_or_default().to_owned();
    url.set_query(None);
    url.set_fragment(None);
    if url.as_str() != redirect_uri {
        return Err(format!("The address of this login begins with {redirect_uri}?"));
    }
    AuthorizationResponse::read(&query, state).map_err(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const URI: &str = "http://127.0.0.1:9876/callback/github";

    fn code(line: &str) -> Result<String, String> {
        match read(line, URI, &Secret::new("s1"))? {
            AuthorizationResponse::Callback(parameters) => Ok(parameters["code"].expose().to_owned()),
            AuthorizationResponse::Denial(parameters) => Err(parameters["error"].expose().to_owned()),
        }
    }

    #[test]
    fn address_is_read_as_browsers_show_it() {
        for line in [
            "http://127.0.0.1:9876/callback/github?code=c1&state=s1",
            "  127.0.0.1:9876/callback/github?state=s1&code=c1#_=_\r",
            "'http://127.0.0.1:9876/callback/github?code=c1&state=s1'",
        ] {
            assert_eq!(code(line).unwrap(), "c1", "{line}");
        }
        assert_eq!(code("http://127.0.0.1:9876/callback/github?error=access_denied").unwrap_err(), "access_denied");
    }

    #[test]
    fn other_addresses_are_refused_with_the_reason() {
        for (line, why) in [
            ("code=c1", "not an address"),
            ("\u{1b}[31m", "not an address"),
            ("https://github.com/login/oauth/authorize?state=s1", "begins with http://127.0.0.1:9876/callback/github"),
            ("http://127.0.0.1:9876/callback/gitlab?code=c1&state=s1", "begins with"),
            ("http://127.0.0.1:1/callback/github?code=c1&state=s1", "begins with"),
            ("http://evil.example/callback/github?code=c1&state=s1", "begins with"),
            ("http://127.0.0.1:9876/callback/github?code=c1&state=s2", "does not belong to the login"),
            ("http://127.0.0.1:9876/callback/github?code=c1", "does not belong to the login"),
            ("http://127.0.0.1:9876/callback/github?code=c1&code=c2&state=s1", "repeated"),
        ] {
            let refused = code(line).unwrap_err();
            assert!(refused.contains(why), "{line}: {refused}");
            assert!(!refused.contains("c1") && !refused.contains('\u{1b}'), "{refused}");
        }
    }
}
