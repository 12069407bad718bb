//! Token requests, introspection and client authentication.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use strongroom::catalog::entry::{Body, Method, RefreshWith, TokenAuth};
use strongroom::catalog::template::Template;

use super::grants::{Issued, Redemption};
use super::parameters::Sent;
use super::rules::{RequestHead, Rules, authorization, check_content_type, check_headers, method, pairs};
use super::violation::{Violation, require};
use super::{Provider, Refusal};

/// The token responses of a login and of a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResponseKind {
    /// The response to the code; `second` if another exchange follows.
    Code { second: bool },
    /// The response of the second exchange, with the long-lived token.
    LongLived,
    /// The response to a refresh.
    Refresh,
}

/// A request for which the provider issues a token.
pub(super) struct Exchange<'e> {
    kind: ResponseKind,
    grant_type: &'e str,
    pub(super) url: &'e Template,
    pub(super) method: Method,
    auth: TokenAuth,
}

impl Provider {
    /// Issues tokens for a token request, or refuses a refresh that breaks no rule.
    pub(super) fn issue(&self, head: RequestHead<'_>, body: &[u8]) -> Result<Result<Value, Refusal>, Violation> {
        let rules = &self.rules;
        check_headers(head.headers, &rules.entry.token_headers, "")?;
        let in_query = *head.method == http::Method::GET;
        let mut sent = if in_query {
            require(body.is_empty(), "there is a body")?;
            Sent::form(head.query.as_bytes())?
        } else {
            read_body(rules.entry.token_body, head.headers, body)?
        };
        let grant_type = sent.take(rules.name("grant_type"))?;
        let exchange = rules.exchanges().into_iter().find(|exchange| exchange.grant_type == grant_type);
        let exchange = exchange.ok_or_else(|| Violation("the grant_type is unknown here".to_owned()))?;
        require(*head.method == method(exchange.method), "the method is another one")?;
        let fixed = rules.location(exchange.url, "").query;
        let query = if in_query {
            sent.take_all(fixed.iter().map(|(name, value)| (name, value)))?;
            fixed
        } else {
            pairs(head.query)
        };
        let client_id = self.authenticate(exchange.auth, head.headers, &mut sent)?;
        rules.check_head(head, &query, exchange.url, &client_id)?;
        let issued = self.issue_for(exchange.kind, sent, &client_id)?;
        let refusal = self.refusal_of(&issued.user).filter(|_| exchange.kind == ResponseKind::Refresh);
        Ok(refusal.map_or_else(|| Ok(self.token_response(&issued, exchange.kind)), Err))
    }

    fn issue_for(&self, kind: ResponseKind, mut sent: Sent, client_id: &str) -> Result<Issued, Violation> {
        let (rules, entry) = (&self.rules, &self.rules.entry);
        match kind {
            ResponseKind::Code { .. } => {
                sent.take_all(&entry.token_params)?;
                let with = Redemption {
                    code: sent.take(rules.name("code"))?,
                    redirect_uri: sent.take(rules.name("redirect_uri"))?,
                    code_verifier: sent.take_optional(rules.name("code_verifier")),
                };
                sent.finish()?;
                self.grants().redeem(&with, client_id)
            }
            ResponseKind::LongLived => {
                let param = entry.long_lived.as_ref().map_or("", |how| how.token_param.as_str());
                let token = sent.take(param)?;
                sent.finish()?;
                self.grants().renew(&token, client_id)
            }
            ResponseKind::Refresh => {
                let mut further = entry.token_params.clone();
                further.extend(entry.refresh_params.clone());
                sent.take_all(&further)?;
                let how = entry.refresh.as_ref();
                let repeats = how.is_some_and(|how| how.redirect_uri);
                let redirect_uri = repeats.then(|| sent.take(rules.name("redirect_uri"))).transpose()?;
                let of_access = how.is_some_and(|how| how.with == RefreshWith::AccessToken);
                let name = if of_access { "access_token" } else { rules.name("refresh_token") };
                let token = sent.take(name)?;
                sent.finish()?;
                if of_access {
                    return self.grants().renew(&token, client_id);
                }
                self.grants().refresh(&token, client_id, redirect_uri.as_deref())
            }
        }
    }

    /// Responds to an introspection request (RFC 7662 §2.1).
    pub(super) fn introspect(&self, head: RequestHead<'_>, body: &[u8]) -> Result<Value, Violation> {
        let rules = &self.rules;
        let how = rules.entry.introspect.as_ref().ok_or_else(|| Violation("there is no introspection".to_owned()))?;
        require(*head.method == http::Method::POST, "the method is another one")?;
        let mut sent = read_body(Body::Form, head.headers, body)?;
        check_headers(head.headers, &BTreeMap::new(), "")?;
        let client_id = self.authenticate(how.auth.unwrap_or(rules.entry.token_auth), head.headers, &mut sent)?;
        rules.check_head(head, &pairs(head.query), &how.url, &client_id)?;
        let token = sent.take(rules.name("token"))?;
        sent.take_fixed("token_type_hint", "access_token")?;
        sent.finish()?;
        let grants = self.grants();
        let own = grants.by_access_token(&token).filter(|grant| grant.client_id == client_id);
        let end = self.now.plus(self.lifetime).0;
        Ok(own.map_or(json!({ "active": false }), |_| json!({ "active": true, "exp": end })))
    }

    /// Returns the client that authenticates in exactly this way and in no other.
    pub(super) fn authenticate(
        &self,
        way: TokenAuth,
        headers: &HeaderMap,
        sent: &mut Sent,
    ) -> Result<String, Violation> {
        let (rules, ids) = (&self.rules, &self.clients.ids);
        let in_header = matches!(way, TokenAuth::Basic | TokenAuth::BasicRaw | TokenAuth::BasicWithId);
        require(in_header || !headers.contains_key(AUTHORIZATION), "there is an Authorization header")?;
        let (id, secret) = match way {
            TokenAuth::Basic | TokenAuth::BasicWithId => {
                let pair = basic(headers)?;
                let (id, secret) = pair.split_once(':').ok_or_else(|| Violation("Basic without a colon".to_owned()))?;
                let id = form_decoded(id)?;
                if way == TokenAuth::BasicWithId {
                    sent.take_fixed(rules.name("client_id"), &id)?;
                }
                (id, Some(form_decoded(secret)?))
            }
            TokenAuth::BasicRaw => {
                let pair = basic(headers)?;
                let own = ids.iter().find(|own| pair.split_once(':').is_some_and(|(id, _)| id == own.as_str()));
                let own = own.ok_or_else(|| Violation("no client has this id, sent raw".to_owned()))?;
                (own.clone(), Some(pair[own.len() + 1..].to_owned()))
            }
            TokenAuth::Post => (sent.take(rules.name("client_id"))?, Some(sent.take(rules.name("client_secret"))?)),
            // No entry requires it: a provider that accepts assertions accepts a secret too.
            TokenAuth::PrivateKeyJwt | TokenAuth::ClientSecretJwt => {
                return Err(Violation("the emulator reads no assertions".to_owned()));
            }
            TokenAuth::None => (sent.take(rules.name("client_id"))?, None),
        };
        require(ids.contains(&id), "no client has this id")?;
        let matches = secret.is_none_or(|secret| secret == self.clients.secret);
        require(matches, "the client's secret is wrong, or wrongly encoded")?;
        Ok(id)
    }
}

impl Rules {
    /// Returns the requests for which the provider issues tokens.
    pub(super) fn exchanges(&self) -> Vec<Exchange<'_>> {
        let entry = &self.entry;
        let (long_lived, refresh) = (entry.long_lived.as_ref(), entry.refresh.as_ref());
        let code = Exchange {
            kind: ResponseKind::Code { second: long_lived.is_some() },
            grant_type: "authorization_code",
            url: &entry.token_url,
            method: Method::Post,
            auth: entry.token_auth,
        };
        let refreshed = Exchange {
            kind: ResponseKind::Refresh,
            grant_type: refresh.and_then(|how| how.grant_type.as_deref()).unwrap_or("refresh_token"),
            url: entry.refresh_url.as_ref().unwrap_or(&entry.token_url),
            method: refresh.map_or(Method::Post, |how| how.method),
            auth: refresh.and_then(|how| how.auth).unwrap_or(entry.token_auth),
        };
        let second = long_lived.map(|how| Exchange {
            kind: ResponseKind::LongLived,
            grant_type: &how.grant_type,
            url: &how.url,
            method: how.method,
            auth: how.auth.unwrap_or(entry.token_auth),
        });
        [Some(code), Some(refreshed), second].into_iter().flatten().collect()
    }
}

/// Reads the parameters of a body in exactly this encoding.
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

/// Decodes a form-encoded value. A character that the encoding always escapes shows that it was not
/// encoded.
fn form_decoded(text: &str) -> Result<String, Violation> {
    let legal = |c: u8| c.is_ascii_alphanumeric() || b"*-._+%".contains(&c);
    require(text.bytes().all(legal), "id and secret were not form-encoded")?;
    let decoded = text.replace('+', " ");
    let decoded = percent_decode_str(&decoded).decode_utf8().map_err(|_| Violation("not UTF-8".to_owned()))?;
    Ok(decoded.into_owned())
}
