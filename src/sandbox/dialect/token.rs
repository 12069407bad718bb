//! The token request, as the provider has it, and how its client proves itself there.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use percent_encoding::percent_decode_str;

use super::super::form::Form;
use super::super::options::SandboxClient;
use super::answer::Given;
use super::parameters::{Sent, standard};
use super::{Dialect, Head, Violation, authorization, check_content_type, check_headers, method, pairs, require};
use crate::catalog::entry::{Body, Method, RefreshWith, TokenAuth};
use crate::catalog::template::Template;
use crate::secret::Secret;

/// One of the requests for which a token is given.
pub(super) struct Exchange<'e> {
    given: Given,
    grant_type: &'e str,
    pub(super) url: &'e Template,
    pub(super) method: Method,
    auth: TokenAuth,
}

/// What a token request is for.
pub(in super::super) enum Wanted {
    /// A code or a refresh token, in the standard's form.
    Standard(Form),
    /// A good access token, for another one.
    Renewal(Secret),
}

impl Dialect {
    /// The requests for which the provider gives tokens.
    pub(super) fn exchanges(&self) -> Vec<Exchange<'_>> {
        let entry = &self.entry;
        let (long_lived, refresh) = (entry.long_lived.as_ref(), entry.refresh.as_ref());
        let code = Exchange {
            given: Given::FirstOf(if long_lived.is_some() { 2 } else { 1 }),
            grant_type: "authorization_code",
            url: &entry.token_url,
            method: Method::Post,
            auth: entry.token_auth,
        };
        let refreshed = Exchange {
            given: Given::Refreshed,
            grant_type: refresh.and_then(|how| how.grant_type.as_deref()).unwrap_or("refresh_token"),
            url: entry.refresh_url.as_ref().unwrap_or(&entry.token_url),
            method: refresh.map_or(Method::Post, |how| how.method),
            auth: refresh.and_then(|how| how.auth).unwrap_or(entry.token_auth),
        };
        let lengthened = long_lived.map(|how| Exchange {
            given: Given::LongLived,
            grant_type: &how.grant_type,
            url: &how.url,
            method: how.method,
            auth: how.auth.unwrap_or(entry.token_auth),
        });
        [Some(code), Some(refreshed), lengthened].into_iter().flatten().collect()
    }

    /// The client and its request, where it keeps what the entry says.
    pub(in super::super) fn read_token_request<'c>(
        &self,
        head: Head<'_>,
        body: &[u8],
        clients: &'c [SandboxClient],
    ) -> Result<(&'c SandboxClient, Wanted, Given), Violation> {
        let entry = &self.entry;
        check_headers(head.headers, &entry.token_headers, "")?;
        let in_query = *head.method == http::Method::GET;
        let mut sent = if in_query {
            require(body.is_empty(), "there is a body")?;
            Sent::form(head.query.as_bytes())?
        } else {
            read_body(entry.token_body, head.headers, body)?
        };
        let grant_type = sent.take(self.name("grant_type"))?;
        let exchange = self.exchanges().into_iter().find(|exchange| exchange.grant_type == grant_type.expose());
        let exchange = exchange.ok_or_else(|| Violation("there is no such grant_type here".to_owned()))?;
        require(*head.method == method(exchange.method), "the method is another")?;
        let fixed = self.place(exchange.url, "").query;
        let query = if in_query {
            sent.take_all(fixed.iter().map(|(name, value)| (name, value)))?;
            fixed
        } else {
            pairs(head.query)
        };
        let client = self.authenticated(exchange.auth, head.headers, &mut sent, clients)?;
        self.check_head(head, &query, exchange.url, &client.id)?;
        let wanted = self.wanted(exchange.given, grant_type, &mut sent)?;
        sent.nothing_left()?;
        Ok((client, wanted, exchange.given))
    }

    fn wanted(&self, given: Given, grant_type: Secret, sent: &mut Sent) -> Result<Wanted, Violation> {
        let entry = &self.entry;
        let of_access = entry.refresh.as_ref().is_some_and(|how| how.with == RefreshWith::AccessToken);
        match given {
            Given::FirstOf(_) => {
                sent.take_all(&entry.token_params)?;
                Ok(Wanted::Standard(standard([
                    ("grant_type", Some(grant_type)),
                    ("code", Some(sent.take(self.name("code"))?)),
                    ("redirect_uri", Some(sent.take(self.name("redirect_uri"))?)),
                    ("code_verifier", sent.take_if_there(self.name("code_verifier"))),
                ])))
            }
            Given::LongLived => {
                let param = entry.long_lived.as_ref().map_or("", |how| how.token_param.as_str());
                Ok(Wanted::Renewal(sent.take(param)?))
            }
            Given::Refreshed => {
                let mut further = entry.token_params.clone();
                further.extend(entry.refresh_params.clone());
                sent.take_all(&further)?;
                let repeats = entry.refresh.as_ref().is_some_and(|how| how.redirect_uri);
                let redirect_uri = repeats.then(|| sent.take(self.name("redirect_uri"))).transpose()?;
                if of_access {
                    return Ok(Wanted::Renewal(sent.take("access_token")?));
                }
                let refresh_token = sent.take(self.name("refresh_token"))?;
                Ok(Wanted::Standard(standard([
                    ("grant_type", Some(Secret::new("refresh_token"))),
                    ("refresh_token", Some(refresh_token)),
                    ("redirect_uri", redirect_uri),
                ])))
            }
        }
    }

    /// The client and the token of an introspection request (RFC 7662 §2.1).
    pub(in super::super) fn read_introspection<'c>(
        &self,
        head: Head<'_>,
        body: &[u8],
        clients: &'c [SandboxClient],
    ) -> Result<(&'c SandboxClient, Secret), Violation> {
        let how = self.entry.introspect.as_ref().ok_or_else(|| Violation("nothing is told here".to_owned()))?;
        require(*head.method == http::Method::POST, "the method is another")?;
        let mut sent = read_body(Body::Form, head.headers, body)?;
        check_headers(head.headers, &BTreeMap::new(), "")?;
        let way = how.auth.unwrap_or(self.entry.token_auth);
        let client = self.authenticated(way, head.headers, &mut sent, clients)?;
        self.check_head(head, &pairs(head.query), &how.url, &client.id)?;
        let token = sent.take(self.name("token"))?;
        sent.take_fixed("token_type_hint", "access_token")?;
        sent.nothing_left()?;
        Ok((client, token))
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
