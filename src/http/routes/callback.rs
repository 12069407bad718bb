//! The callback page of `strongroom dev`: shows what arrived from a provider, and the request that
//! an application sends next.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use http::{Response, StatusCode};
use serde_json::json;
use warp::filters::BoxedFilter;
use warp::{Filter as _, Reply as _};

use crate::html::{self, escape};
use crate::http::app::CallbackPage;
use crate::id::ProviderName;
use crate::random::Random;

/// `GET /callback/{provider}`.
pub(crate) fn callback_page(callback: &CallbackPage, random: Random) -> BoxedFilter<(warp::reply::Response,)> {
    let callback = callback.clone();
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::path!("callback" / ProviderName)
        .and(warp::get())
        .and(query)
        .map(move |provider: ProviderName, query: String| page(&callback, &provider, &query, random).into_response())
        .boxed()
}

fn page(callback: &CallbackPage, provider: &ProviderName, query: &str, random: Random) -> Response<String> {
    let oauth = format!("{}/v1/integrations/{provider}/oauth", callback.url);
    let curl =
        |request: &str, body| escape(&curl(&callback.curl_config, &format!("{oauth}/{request}"), body)).into_owned();
    let mut parameters = BTreeMap::new();
    let mut shown = String::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        write!(shown, "<dt>{}</dt>\n<dd><code>{}</code></dd>\n", escape(&name), escape(&value))
            .expect("writing to a string cannot fail");
        if parameters.insert(name.into_owned(), value.into_owned()).is_some() {
            let why = "<p>A parameter was repeated, so an application must not use this callback (RFC 6749 §3.1).</p>";
            return html::page(StatusCode::BAD_REQUEST, "This callback is not valid", why, random);
        }
    }
    let error = parameters.get("error").filter(|error| !error.is_empty()).cloned();
    let Some(state) = parameters.remove("state") else {
        let back = format!("{}/callback/{provider}", callback.url.replace("127.0.0.1", "localhost"));
        let command = curl("initiate", &json!({ "callback_url": back }));
        let (heading, text) = match error {
            Some(error) => (
                "The provider refused the login",
                format!(
                    "<p>{provider} sent this to the callback URL:</p>\n<dl>\n{shown}</dl>\n<p>{} Then start the login \
                     again:</p>\n<pre>{command}</pre>\n<p>The answer has no <code>state</code>, so an application \
                     cannot tell which login it belongs to. It shows the error to its user, and the login that was \
                     started ends at its <code>expires_at</code>.</p>",
                    advice(&error)
                ),
            ),
            None => (
                "No login arrived",
                format!(
                    "<p>This is a callback URL for trying logins. The provider sent no <code>state</code> to it, so \
                     nothing can be completed. Start a login:</p>\n<pre>{command}</pre>"
                ),
            ),
        };
        return html::page(StatusCode::BAD_REQUEST, heading, &text, random);
    };
    let is_denial = error.is_some();
    let code = parameters.remove("code");
    let mut request = json!({ "callback_params": parameters });
    if let Some(code) = code {
        request["code"] = code.into();
    }
    request["state_token"] = state.into();
    let (heading, next) = if is_denial {
        ("The login was denied", "An application ends the login with this request, which returns the reason:")
    } else {
        ("The login was approved", "An application completes the login with this request:")
    };
    let body = format!(
        "<p>{provider} sent this to the callback URL:</p>\n<dl>\n{shown}</dl>\n<p>{next}</p>\n<pre>{}</pre>\n\
         <p>Run it in a terminal of this machine. \
         In your application, this page is yours: its address is the <code>callback_url</code> of initiate.</p>",
        curl("complete", &request)
    );
    html::page(StatusCode::OK, heading, &body, random)
}

/// Returns the cause of an error code, and what to do about it.
fn advice(error: &str) -> &'static str {
    match error {
        "access_denied" => "The user, or an administrator of the account, did not allow the access. Ask them to.",
        "invalid_scope" => "Ask for scopes that the provider knows and that your OAuth client may have.",
        "server_error" | "temporarily_unavailable" => "The provider has a failure of its own. Wait a moment.",
        _ => "Compare your OAuth client at the provider: its id, its redirect URIs, and the scopes that it may have.",
    }
}

/// Returns a command for a POSIX shell. Its arguments contain no secret, because other users of the
/// machine can see them. Anybody can send the browser here, so the body is one line that no value
/// can end.
fn curl(config: &Path, url: &str, body: &serde_json::Value) -> String {
    let mut line = String::new();
    for c in body.to_string().chars() {
        if matches!(c, ' '..='~') {
            line.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(line, "\\u{unit:04x}").expect("writing to a string cannot fail");
            }
        }
    }
    format!("curl -sS {} {url} --json @- <<'END'\n{line}\nEND", curl_config(config))
}

/// Returns the arguments of curl that name the file with the API key, for a POSIX shell.
pub fn curl_config(file: &Path) -> String {
    let path = file.display().to_string();
    let is_plain = path.bytes().all(|c| c.is_ascii_alphanumeric() || b"/._-+@%".contains(&c));
    if is_plain { format!("-K {path}") } else { format!("-K '{}'", path.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(query: &str) -> (StatusCode, String) {
        let url = "http://127.0.0.1:8484".to_owned();
        let callback = CallbackPage { url, curl_config: "/tmp/strongroom-dev-x/curl.conf".into() };
        let page = page(&callback, &"acme".parse().unwrap(), query, Random);
        (page.status(), page.into_body())
    }

    #[test]
    fn page_shows_the_callback_and_the_next_request() {
        let (status, html) = shown("code=c1&state=s1&iss=https%3A%2F%2Facme.example");
        assert_eq!(status, StatusCode::OK);
        let command = "curl -sS -K /tmp/strongroom-dev-x/curl.conf \
             http://127.0.0.1:8484/v1/integrations/acme/oauth/complete --json @- &lt;&lt;&#39;END&#39;\n\
             {&quot;callback_params&quot;:{&quot;iss&quot;:&quot;https://acme.example&quot;},&quot;code&quot;:&quot;c1&quot;,&quot;state_token&quot;:&quot;s1&quot;}\nEND</pre>";
        assert!(html.contains(command), "{html}");
        assert!(html.contains("<dt>code</dt>\n<dd><code>c1</code></dd>"), "{html}");
        let (status, html) = shown("error=access_denied&state=s1");
        assert_eq!(status, StatusCode::OK);
        assert!(html.contains("denied") && html.contains("access_denied"), "{html}");
    }

    #[test]
    fn page_says_what_an_error_without_state_means() {
        let (status, html) = shown("error=invalid_scope&error_description=No+such+%3Cscope%3E");
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(html.contains("The provider refused the login"), "{html}");
        assert!(
            html.contains("<dd><code>invalid_scope</code></dd>") && html.contains("No such &lt;scope&gt;"),
            "{html}"
        );
        assert!(html.contains("Ask for scopes") && html.contains("/acme/oauth/initiate"), "{html}");
        assert!(shown("error=&code=c").1.contains("No login arrived"));
    }

    #[test]
    fn page_escapes_for_html_and_for_the_shell() {
        let (_, html) = shown("code=%27%3B%20id%20%23%3Cscript%3E%0AEND%0A&state=%E2%80%AEs%0A%1B");
        assert!(!html.contains("<script>"), "{html}");
        let command = html.split("<pre>").nth(1).unwrap().split("</pre>").next().unwrap();
        assert_eq!(command.matches("\nEND").count(), 1, "only our own end: {command}");
        assert_eq!(command.lines().count(), 3, "{command}");
        assert!(command.contains("&#39;; id #") && command.contains("\\u202es\\n\\u001b"), "{command}");
    }

    #[test]
    fn file_with_the_key_is_one_argument() {
        assert_eq!(curl_config(Path::new("/tmp/a b/it's")), r"-K '/tmp/a b/it'\''s'");
    }

    #[test]
    fn page_refuses_what_no_application_may_use() {
        assert_eq!(shown("").0, StatusCode::BAD_REQUEST);
        assert_eq!(shown("code=c").0, StatusCode::BAD_REQUEST);
        assert_eq!(shown("code=c&code=d&state=s").0, StatusCode::BAD_REQUEST);
    }
}
