//! A small HTTP client for the tests: requests that read like sentences, answers that can be asked.

use std::sync::OnceLock;

use serde_json::Value;

/// A request that is being put together.
pub struct Ask {
    method: http::Method,
    url: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

/// A response.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Vec<u8>,
}

impl Ask {
    pub fn new(method: http::Method, url: String) -> Self {
        Self { method, url, headers: Vec::new(), body: None }
    }

    /// Presents an API key as clients of the original do.
    pub fn key(self, key: &str) -> Self {
        self.header("X-API-Key", key)
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.header("Content-Type", "application/json").bytes(body.to_string())
    }

    pub fn bytes(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    pub async fn send(self) -> Reply {
        self.try_send().await.expect("the server answers")
    }

    pub async fn try_send(self) -> reqwest::Result<Reply> {
        let client = CLIENT.get_or_init(client);
        let mut request = client.request(self.method, &self.url);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        if let Some(body) = self.body {
            request = request.body(body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Reply { status, headers, body: response.bytes().await?.to_vec() })
    }
}

/// One client for all tests of a binary, for it takes longer to make than most of them to run. Each test has a runtime of
/// its own, so no connection is kept for the next.
static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();

#[expect(clippy::disallowed_methods, reason = "a test is not bound to the one way out")]
fn client() -> reqwest::Client {
    install_tls();
    let client = reqwest::Client::builder().no_proxy().no_gzip().redirect(reqwest::redirect::Policy::none());
    client.pool_max_idle_per_host(0).build().expect("a client")
}

/// reqwest without a built-in TLS provider wants one installed, even for plain http.
pub fn install_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", String::from_utf8_lossy(&self.body)))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn detail(&self) -> Value {
        self.json()["detail"].clone()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Asserts the status, showing the body where it is another.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}
