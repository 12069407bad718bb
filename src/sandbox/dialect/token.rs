//! The token request, as the provider has it, and how its client proves itself there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use percent_encoding::percent_decode_str;

use super::super::form::Form;
use super::super::options::SandboxClient;
use super::parameters::{Sent, standard};
use super::{Dialect, Head, Violation, authorization, check_content_type, check_headers, require};
use crate::catalog::entry::{Body, TokenAuth};
use crate::secret::Secret;

impl Dialect {
    /// The client and its request under the standard's names, where it keeps what the entry says.
    pub(in super::super) fn read_token_request<'c>(
        &self,
        head: Head<'_>,
        body: &[u8],
        clients: &'c [SandboxClient],
    ) -> Result<(&'c SandboxClient, Form), Violation> {
        let entry = &self.entry;
        check_headers(head.headers, &entry.token_headers, "")?;
        let mut sent = read_body(entry.token_body, head.headers, body)?;
        let client = self.authenticated(entry.token_auth, head.headers, &mut sent, clients)?;
        let grant_type = sent.take(self.name("grant_type"))?;
        let refreshes = grant_type.expose() == "refresh_token";
        let url = entry.refresh_url.as_ref().filter(|_| refreshes).unwrap_or(&entry.token_url);
        self.check_head(head, url, &client.id)?;
        let mut further = entry.token_params.clone();
        if refreshes {
            further.extend(entry.refresh_params.clone());
        }
        sent.take_all(&further)?;
        let form = if refreshes {
            let refresh_token = sent.take(self.name("refresh_token"))?;
            standard([("grant_type", Some(grant_type)), ("refresh_token", Some(refresh_token))])
        } else {
            standard([
                ("grant_type", Some(grant_type)),
                ("code", Some(sent.take(self.name("code"))?)),
                ("redirect_uri", Some(sent.take(self.name("redirect_uri"))?)),
                ("code_verifier", sent.take_if_there(self.name("code_verifier"))),
            ])
        };
        sent.nothing_left()?;
        Ok((client, form))
    }

    /// The client that proves itself in exactly this way, and in no other besides.
    pub(super) fn authenticated<'c>(
        &self,
        way: TokenAuth,
        headers: &HeaderMap,
        sent: &mut Sent,
        clients: &'c [SandboxClient],
    ) -> Result<&'c SandboxClient, Violation> {
        let in_header = matches!(way, TokenAuth::Basic | TokenAuth::BasicRaw);
        require(in_header || !headers.contains_key(AUTHORIZATION), "there is an Authorization header")?;
        let (id, secret) = match way {
            TokenAuth::Basic => {
                let pair = basic(headers)?;
                let (id, secret) = pair.split_once(':').ok_or_else(|| Violation("Basic without a colon".to_owned()))?;
                (form_decoded(id)?, Some(form_decoded(secret)?))
            }
            TokenAuth::BasicRaw => {
                let pair = basic(headers)?;
                let own = clients.iter().find(|client| pair.split_once(':').is_some_and(|(id, _)| id == client.id));
                let own = own.ok_or_else(|| Violation("no client of this id, sent raw".to_owned()))?;
                (own.id.clone(), Some(pair[own.id.len() + 1..].to_owned()))
            }
            TokenAuth::Post => {
                let id = sent.take(self.name("client_id"))?.expose().to_owned();
                (id, Some(sent.take(self.name("client_secret"))?.expose().to_owned()))
            }
            // No entry says so: a provider that takes assertions takes a secret too.
            TokenAuth::PrivateKeyJwt | TokenAuth::ClientSecretJwt => {
                return Err(Violation("the sandbox reads no assertions in another provider's part".to_owned()));
            }
            TokenAuth::None => (sent.take(self.name("client_id"))?.expose().to_owned(), None),
        };
        let client = clients.iter().find(|client| client.id == id);
        let client = client.ok_or_else(|| Violation("no client of this id".to_owned()))?;
        let own = client.secret.as_ref().map(Secret::expose);
        require(secret.is_none_or(|secret| own == Some(&*secret)), "the client's secret is wrong, or wrongly encoded")?;
        Ok(client)
    }
}

/// The parameters in the body, which is written as it must be.
pub(super) fn read_body(encoding: Body, headers: &HeaderMap, body: &[u8]) -> Result<Sent, Violation> {
    match encoding {
        Body::Form => {
            check_content_type(headers, "application/x-www-form-urlencoded")?;
            Sent::form(body)
        }
        Body::Json => {
            check_content_type(headers, "application/json")?;
            Sent::json(body)
        }
        Body::None => {
            require(body.is_empty(), "there is a body")?;
            Sent::form(b"")
        }
    }
}

fn basic(headers: &HeaderMap) -> Result<String, Violation> {
    let bytes = STANDARD.decode(authorization(headers, "Basic")?).ok();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| Violation("Basic is not base64".to_owned()))
}

/// One value that was form-urlencoded; any character that the encoding does not leave as it is shows that it was not.
fn form_decoded(text: &str) -> Result<String, Violation> {
    let legal = |c: u8| c.is_ascii_alphanumeric() || b"*-._+%".contains(&c);
    require(text.bytes().all(legal), "id and secret were not form-urlencoded")?;
    let decoded = text.replace('+', " ");
    let decoded = percent_decode_str(&decoded).decode_utf8().map_err(|_| Violation("not UTF-8".to_owned()))?;
    Ok(decoded.into_owned())
}
