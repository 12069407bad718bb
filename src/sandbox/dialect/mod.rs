//! The sandbox in the part of another provider: it takes on what a catalogue entry says of that provider, and refuses every
//! request that does not keep it to the letter.
//!
//! Behind it is the same authorization server. What comes in is held against the entry, brought into the standard's
//! form and answered by the standard's rules; the answer is then brought into the provider's. The two ends are written
//! from the entry's words alone and share no code with the client in `oauth/`, or they would agree on a mistake.

mod answer;
mod authorize;
mod parameters;
mod revoke;
mod server;
mod token;

use std::collections::BTreeMap;
use std::fmt;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE};
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;

use super::endpoint::Endpoint;
use super::options::SandboxClient;
use crate::catalog::entry::{self, AccessTokenPlace, OAuth};
use crate::catalog::input::{Input, InputFrom};
use crate::catalog::template::Template;
use crate::secret::Secret;

/// How one provider differs from the standard, as its entry says, with the example of each input for its value.
#[derive(Clone, Debug)]
pub struct Dialect {
    entry: OAuth,
    further_scopes: Vec<String>,
}

/// What a request did not keep. It names parameters and headers, and has no value of any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation(String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A request's head.
#[derive(Clone, Copy)]
pub(super) struct Head<'r> {
    pub(super) method: &'r Method,
    pub(super) path: &'r str,
    pub(super) query: &'r str,
    pub(super) headers: &'r HeaderMap,
}

/// A URL of the entry, as a request to the sandbox shows it: under the sandbox's own address the provider's host is the
/// first segment of the path.
struct Place {
    path: String,
    query: Vec<(String, String)>,
}

impl Dialect {
    /// The provider of this entry. It knows the scopes that the entry names, and the `further` ones.
    pub fn of(entry: &OAuth, further: &[&str]) -> Self {
        Self { entry: entry.clone(), further_scopes: further.iter().map(|scope| (*scope).to_owned()).collect() }
    }

    /// Where a URL of the entry is at the sandbox at `base_url`: host, path and query stay.
    pub fn moved(base_url: &str, url: &Template) -> String {
        format!("{base_url}/{}", without_scheme(url))
    }

    /// What a caller has to give for the entry's inputs.
    pub fn callers_inputs(&self) -> BTreeMap<String, String> {
        let callers = self.entry.inputs.iter().filter(|(_, input)| input.from == InputFrom::Caller);
        callers.map(|(name, input)| (name.clone(), input.example.clone())).collect()
    }

    /// What the provider says of the account of `user` at a JSON pointer of the entry's.
    pub fn says_of(&self, user: &str, pointer: &str) -> String {
        let is_input = |(name, input): (&String, &Input)| {
            input.from == InputFrom::Token && pointer.strip_prefix('/') == Some(input.member.as_ref().unwrap_or(name))
        };
        if self.entry.inputs.iter().any(is_input) {
            self.says_in(&pointer[1..])
        } else {
            format!("{user} at {pointer}")
        }
    }

    /// What the provider says in a member of the callback or the token answer that the entry keeps.
    pub fn says_in(&self, member: &str) -> String {
        let known = self.entry.inputs.iter().find(|(name, input)| input.member.as_ref().unwrap_or(name) == member);
        known.map_or_else(|| format!("kept {member}"), |(_, input)| input.example.clone())
    }

    /// The endpoint that a request is for; `None` for a page of the sandbox's own.
    pub(super) fn endpoint(&self, head: Head<'_>, clients: &[SandboxClient]) -> Option<Endpoint> {
        let asked = percent_decode_str(head.path).decode_utf8_lossy();
        let at = |url: &Template| self.place(url, "").path == asked;
        let exchanges = self.exchanges();
        let is_token = exchanges.iter().any(|exchange| *head.method == method(exchange.method) && at(exchange.url));
        let revokes = self.entry.revoke.as_ref().is_some_and(|revoke| {
            *head.method == method(revoke.method)
                && clients.iter().any(|client| self.place(&revoke.url, &client.id).path == asked)
        });
        match () {
            () if *head.method == Method::GET && at(&self.entry.authorize_url) => Some(Endpoint::Authorize),
            // Where it is one URL for both, the body tells.
            () if is_token => Some(Endpoint::Token),
            () if revokes => Some(Endpoint::Revoke),
            () if self.entry.introspect.as_ref().is_some_and(|how| at(&how.url)) => Some(Endpoint::Introspect),
            () if self.asked_for_identity().is_some_and(|how| at(&how.url)) => Some(Endpoint::Userinfo),
            () => None,
        }
    }

    /// How the provider tells whose account it is, where that takes a request of its own.
    fn asked_for_identity(&self) -> Option<&entry::Identity> {
        self.entry.identity.as_ref().filter(|how| !how.from_token_answer)
    }

    fn place(&self, url: &Template, client_id: &str) -> Place {
        let text = without_scheme(url);
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let fixed = percent_decode_str(path).decode_utf8_lossy();
        let query = url::form_urlencoded::parse(query.as_bytes());
        let filled = |text: &str| self.filled(text, client_id);
        Place {
            path: filled(&format!("/{fixed}")),
            query: query.map(|(name, value)| (filled(&name), filled(&value))).collect(),
        }
    }

    fn filled(&self, text: &str, client_id: &str) -> String {
        let with_id = text.replace("{client_id}", client_id);
        self.entry
            .inputs
            .iter()
            .fold(with_id, |text, (name, input)| text.replace(&format!("{{{name}}}"), &bare(input, &input.example)))
    }

    /// What the provider calls a parameter of the standard.
    fn name<'n>(&'n self, standard: &'n str) -> &'n str {
        self.entry.rename.get(standard).map_or(standard, String::as_str)
    }

    /// The access token that a request presents, where and as the provider wants it; with what else its query has.
    fn presented(&self, head: Head<'_>, url: &Template) -> Result<(Secret, Vec<(String, String)>), Violation> {
        let mut query = pairs(head.query);
        let Some(how) = &self.entry.access_token else {
            let scheme = match self.entry.token_type.as_deref() {
                Some(word) if !word.eq_ignore_ascii_case("bearer") && url.as_str() != self.revocation_url() => word,
                _ => "Bearer",
            };
            return Ok((Secret::new(authorization(head.headers, scheme)?), query));
        };
        require(!head.headers.contains_key(AUTHORIZATION), "there is an Authorization header")?;
        let missing = || Violation(format!("there is no access token as {}", how.name));
        if how.place == AccessTokenPlace::Query {
            let at = query.iter().position(|(name, _)| *name == how.name).ok_or_else(missing)?;
            return Ok((Secret::new(query.remove(at).1), query));
        }
        let value = header(head.headers, &how.name).ok_or_else(missing)?;
        let token = value.strip_prefix(how.prefix.as_deref().unwrap_or("")).ok_or_else(missing)?;
        Ok((Secret::new(token), query))
    }

    fn revocation_url(&self) -> &str {
        self.entry.revoke.as_ref().map_or("", |how| how.url.as_str())
    }

    /// A request that is not the authorization request: its fixed query, and nothing that it should not have.
    fn check_head(
        &self,
        head: Head<'_>,
        query: &[(String, String)],
        url: &Template,
        client_id: &str,
    ) -> Result<(), Violation> {
        let place = self.place(url, client_id);
        require(percent_decode_str(head.path).decode_utf8_lossy() == place.path, "this is not the URL for that")?;
        require(query == place.query, "the query is not the one of the URL")?;
        require(!head.headers.contains_key(COOKIE), "there is a cookie")
    }
}

fn pairs(query: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

fn without_scheme(url: &Template) -> &str {
    url.as_str().split_once("://").map_or(url.as_str(), |(_, rest)| rest)
}

/// A value as it stands in a URL: a host that was given as a URL without the rest of it.
fn bare(input: &Input, value: &str) -> String {
    let host = value.strip_prefix("https://").map_or(value, |host| host.trim_end_matches('/'));
    if input.hosts.is_some() { host.to_ascii_lowercase() } else { value.to_owned() }
}

fn require(holds: bool, otherwise: &str) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation(otherwise.to_owned())) }
}

fn method(of: entry::Method) -> Method {
    match of {
        entry::Method::Get => Method::GET,
        entry::Method::Post => Method::POST,
        entry::Method::Delete => Method::DELETE,
    }
}

/// The only value of a header, as text.
fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(first)
}

/// The entry's headers are there to the letter, and JSON is asked for where none of them asks for something else.
fn check_headers(headers: &HeaderMap, wanted: &BTreeMap<String, String>, client_id: &str) -> Result<(), Violation> {
    for (name, value) in wanted {
        let wanted = value.replace("{client_id}", client_id);
        require(header(headers, name) == Some(&*wanted), &format!("the header {name} is not as it must be"))?;
    }
    let own_accept = wanted.keys().any(|name| name.eq_ignore_ascii_case(ACCEPT.as_str()));
    require(own_accept || header(headers, ACCEPT.as_str()) == Some("application/json"), "JSON was not asked for")
}

fn check_content_type(headers: &HeaderMap, wanted: &str) -> Result<(), Violation> {
    require(header(headers, CONTENT_TYPE.as_str()) == Some(wanted), &format!("the body must be {wanted}"))
}

/// The credentials of the `Authorization` header under that scheme.
fn authorization<'h>(headers: &'h HeaderMap, scheme: &str) -> Result<&'h str, Violation> {
    let sent = header(headers, AUTHORIZATION.as_str()).and_then(|text| text.split_once(' '));
    let sent = sent.filter(|(there, _)| *there == scheme).map(|(_, credentials)| credentials);
    sent.ok_or_else(|| Violation(format!("there is no Authorization header with {scheme}")))
}
