//! The callback page of `strongroom dev`: shows what arrived from a provider, and the request that
//! an application sends next.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use http::{Response, StatusCode};
use serde_json::json;
use warp::filters::BoxedFilter;
use warp::{Filter as _, Reply as _};

use crate::html::{self, escape};
use crate::id::ProviderName;
use crate::random::Random;

/// `GET /callback/{provider}` at the server with this URL.
pub(crate) fn callback_page(url: &str, random: Random) -> BoxedFilter<(warp::reply::Response,)> {
    let url = url.to_owned();
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::path!("callback" / ProviderName)
        .and(warp::get())
        .and(query)
        .map(move |provider: ProviderName, query: String| page(&url, &provider, &query, random).into_response())
        .boxed()
}

fn page(url: &str, provider: &ProviderName, query: &str, random: Random) -> Response<String> {
    let oauth = format!("{url}/v1/integrations/{provider}/oauth");
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
    let Some(state) = parameters.remove("state") else {
        let body = format!(
            "<p>This is a callback URL for trying logins. The provider sent no <code>state</code> to it, so nothing \
             can be completed. Start a login:</p>\n<pre>{}</pre>",
            escape(&curl(&format!("{oauth}/initiate"), &json!({ "callback_url": "http://localhost:3000/callback" })))
        );
        return html::page(StatusCode::BAD_REQUEST, "No login arrived", &body, random);
    };
    let is_denial = parameters.get("error").is_some_and(|error| !error.is_empty());
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
         <p>Run it in a terminal. <code>KEY</code> is the API key that <code>strongroom dev</code> printed. \
         In your application, this page is yours: its address is the <code>callback_url</code> of initiate.</p>",
        escape(&curl(&format!("{oauth}/complete"), &request))
    );
    html::page(StatusCode::OK, heading, &body, random)
}

/// Returns a command for a POSIX shell. Anybody can send the browser here, so no value may end the
/// quotes around it.
fn curl(url: &str, body: &serde_json::Value) -> String {
    let mut quoted = String::new();
    for c in body.to_string().chars() {
        if matches!(c, ' '..='~') && c != '\'' {
            quoted.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(quoted, "\\u{unit:04x}").expect("writing to a string cannot fail");
            }
        }
    }
    format!("curl -sS {url} -H \"X-API-Key: $KEY\" --json '{quoted}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(query: &str) -> (StatusCode, String) {
        let page = page("http://127.0.0.1:8484", &"acme".parse().unwrap(), query, Random);
        (page.status(), page.into_body())
    }

    #[test]
    fn page_shows_the_callback_and_the_next_request() {
        let (status, html) = shown("code=c1&state=s1&iss=https%3A%2F%2Facme.example");
        assert_eq!(status, StatusCode::OK);
        let command = "curl -sS http://127.0.0.1:8484/v1/integrations/acme/oauth/complete -H &quot;X-API-Key: $KEY&quot; \
             --json &#39;{&quot;callback_params&quot;:{&quot;iss&quot;:&quot;https://acme.example&quot;},&quot;code&quot;:&quot;c1&quot;,&quot;state_token&quot;:&quot;s1&quot;}&#39;";
        assert!(html.contains(command), "{html}");
        assert!(html.contains("<dt>code</dt>\n<dd><code>c1</code></dd>"), "{html}");
        let (status, html) = shown("error=access_denied&state=s1");
        assert_eq!(status, StatusCode::OK);
        assert!(html.contains("denied") && html.contains("access_denied"), "{html}");
    }

    #[test]
    fn page_escapes_for_html_and_for_the_shell() {
        let (_, html) = shown("code=%27%3B%20id%20%23%3Cscript%3E&state=%E2%80%AEs%0A%1B");
        assert!(!html.contains("<script>"), "{html}");
        let command = html.split("<pre>").nth(1).unwrap().split("</pre>").next().unwrap();
        assert_eq!(command.matches("&#39;").count(), 2, "only our own quotes: {command}");
        assert!(command.contains("\\u0027; id #") && command.contains("\\u202es\\n\\u001b"), "{command}");
    }

    #[test]
    fn page_refuses_what_no_application_may_use() {
        assert_eq!(shown("").0, StatusCode::BAD_REQUEST);
        assert_eq!(shown("code=c").0, StatusCode::BAD_REQUEST);
        assert_eq!(shown("code=c&code=d&state=s").0, StatusCode::BAD_REQUEST);
    }
}
