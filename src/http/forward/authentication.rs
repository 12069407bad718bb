//! Authentication at the forward proxy: `Proxy-Authorization`, as Basic with the API key as the
//! password or as a bearer (RFC 9110 §11.7).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION};
use http::{HeaderMap, HeaderValue, Method};

use crate::broker::{Authenticated, KeyHolder};
use crate::http::app::App;
use crate::http::auth::{self, USER_HEADER};
use crate::http::problem::{self, Problem};
use crate::http::proxy::KEY_PREFIX;
use crate::http::request::context::{RequestContext, RequestHead};

/// Header of the API for an API key.
const KEY_HEADER: &str = "x-api-key";

/// The API key or access token of a request or of a tunnel, in the headers of the API.
#[derive(Clone)]
pub(super) struct Presented {
    headers: HeaderMap,
    /// User name of Basic: the user of a service key.
    user: Option<HeaderValue>,
}

impl Presented {
    /// Takes the authentication out of the headers.
    pub(super) fn take(headers: &mut HeaderMap) -> Self {
        let mut presented = Self { headers: HeaderMap::new(), user: None };
        let given: Vec<HeaderValue> = headers.get_all(PROXY_AUTHORIZATION).iter().cloned().collect();
        headers.remove(PROXY_AUTHORIZATION);
        let named: Vec<HeaderValue> = headers.get_all(USER_HEADER).iter().cloned().collect();
        headers.remove(USER_HEADER);
        for user in named {
            presented.headers.append(USER_HEADER, user);
        }
        match given.as_slice() {
            [] => {}
            [value] if presented.read(value).is_some() => {}
            // It counts as a wrong key.
            _ => _ = presented.headers.insert(KEY_HEADER, HeaderValue::from_static("unreadable")),
        }
        presented
    }

    fn read(&mut self, value: &HeaderValue) -> Option<()> {
        let (scheme, text) = value.to_str().ok()?.trim().split_once(' ')?;
        let text = text.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            self.headers.insert(AUTHORIZATION, secret_value(&format!("Bearer {text}"))?);
            return Some(());
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let pair = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
        let (user, password) = pair.split_once(':')?;
        // Some clients have a field for a user only.
        let (user, key) =
            if password.is_empty() && user.starts_with(KEY_PREFIX) { ("", user) } else { (user, password) };
        self.headers.insert(KEY_HEADER, secret_value(key)?);
        if !user.is_empty() {
            self.user = Some(HeaderValue::from_str(user).ok()?);
        }
        Some(())
    }

    /// Checks the API key or access token, and returns the request as the API would have it.
    pub(super) async fn authenticate(
        &self,
        app: &App,
        method: &Method,
        context: RequestContext,
    ) -> Result<(RequestHead, Authenticated), Problem> {
        self.authenticate_again(app, method, context).await.map_err(challenged)
    }

    /// Checks the API key or access token of a tunnel for a request inside of it. To its client, an
    /// answer is that of the origin, so that it is 401 and not 407.
    pub(super) async fn authenticate_again(
        &self,
        app: &App,
        method: &Method,
        context: RequestContext,
    ) -> Result<(RequestHead, Authenticated), Problem> {
        let headers = self.headers.clone();
        let mut head =
            RequestHead { context, method: method.clone(), path: String::new(), query: String::new(), headers };
        let authenticated = auth::authenticate(&app.broker, &app.failed_attempts, &head).await?;
        if let (KeyHolder::Service { .. }, Some(user)) = (&authenticated.holder, &self.user) {
            // Two different names are refused, as two headers are: the holder of the proxy's URL may not
            // be the author of the request.
            if head.headers.get_all(USER_HEADER).iter().all(|named| named != user) {
                head.headers.append(USER_HEADER, user.clone());
            }
        }
        Ok((head, authenticated))
    }
}

fn secret_value(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Returns 407 in the place of 401.
fn challenged(problem: Problem) -> Problem {
    let detail = match problem.kind() {
        kind if *kind == problem::MISSING_AUTHENTICATION => {
            "Give the API key as the password of the proxy: http://USER:srk_…@HOST:PORT."
        }
        kind if *kind == problem::INVALID_API_KEY => "Invalid API key",
        _ => return problem,
    };
    let challenge = HeaderValue::from_static("Basic realm=\"strongroom\"");
    Problem::new(&problem::PROXY_AUTHENTICATION, detail).header(PROXY_AUTHENTICATE, challenge)
}
