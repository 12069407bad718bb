//! The provider `acme` at a hostile server: its settings, what it says while it behaves, and what must not come out.

use serde_json::{Value, json};

use super::hostile::Hostile;
use super::misbehaviours::{CLIENT_SECRET, CODE, PLANTED};
use crate::support::http::Reply;

/// The tokens of these tests.
pub const ACCESS_TOKEN: &str = "the-s3cr3t-access-token";
pub const REFRESH_TOKEN: &str = "the-s3cr3t-refresh-token";

/// Values that must not appear in any response or log.
pub const SECRETS: [&str; 5] = [PLANTED, CODE, CLIENT_SECRET, ACCESS_TOKEN, REFRESH_TOKEN];

/// Settings that describe the server as the provider `acme`.
pub fn settings(acme: &Hostile) -> String {
    format!(
        "[oauth]\ncallback_origins = [\"http://localhost\"]\n[egress]\nallow = [\"127.0.0.0/8\"]\n\
         [providers.acme]\ndisplay_name = \"Acme\"\nclient_id = \"c\"\nclient_secret = \"{CLIENT_SECRET}\"\n\
         [providers.acme.oauth]\nauthorize_url = \"{base}/authorize\"\ntoken_url = \"{base}/token\"\n\
         identity = {{ url = \"{base}/me\", username = \"/name\", account = \"/id\" }}\n\
         revoke = {{ url = \"{base}/revoke\", ends = \"token\", tokens = [\"access\"] }}\n",
        base = acme.base
    )
}

/// A token answer that is as it should be.
pub fn tokens() -> Value {
    json!({"access_token": ACCESS_TOKEN, "refresh_token": REFRESH_TOKEN, "token_type": "bearer", "expires_in": 3600})
}

/// Until it is told otherwise, the server does as it should.
pub fn behave(acme: &Hostile) {
    acme.says("/token", &tokens());
    acme.says("/me", &json!({"name": "Ann", "id": 7}));
    acme.says("/revoke", &json!({}));
}

/// An answer of ours in which nothing of the provider's own stands.
pub fn unspoilt(reply: Reply) -> Reply {
    let text = reply.text();
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
    reply
}
