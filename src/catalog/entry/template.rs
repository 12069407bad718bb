//! A URL with places for values from outside: `https://{subdomain}.acme.example/oauth/token`.
//!
//! Whoever chooses the host of the token endpoint receives the code, the verifier and the client secret. So a value
//! stands in a host only as one whole label under a domain that the entry fixes, or as the whole host, and then only
//! if the entry's own list has it. In a path or a query it is percent-encoded, so that it cannot leave its place.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use url::Url;

use super::input::{self, Input, InputFault};
use super::value::Endpoint;

/// Everything but the unreserved characters of RFC 3986 is escaped in a path or a query.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What stands in for a value while a template is checked: a label, a segment of a path and a value of a query alike.
const STAND_IN: &str = "x";

/// A URL, or how to make one; whatever the values are, it is an [`Endpoint`] under the hosts that are written here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    pieces: Vec<Piece>,
    url: Option<Url>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Fixed(String),
    Value(String, Position),
}

/// Where in the URL a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// One label of the host, under a fixed domain.
    Label,
    /// The whole host.
    Host,
    /// The path or the query.
    Beyond,
}

/// What stands in an entry for a URL that discovery is to find.
pub(in crate::catalog) const DISCOVERED: &str = "discovered";

impl From<&Endpoint> for Template {
    fn from(endpoint: &Endpoint) -> Self {
        let text = endpoint.url().to_string();
        Self { pieces: vec![Piece::Fixed(text.clone())], text, url: Some(endpoint.url().clone()) }
    }
}

impl Template {
    /// A URL that is not known yet: discovery finds it.
    pub fn absent() -> Self {
        Self { text: DISCOVERED.to_owned(), pieces: Vec::new(), url: None }
    }

    /// Whether discovery is to find it.
    pub fn is_absent(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Reads and checks the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains(|c: char| c == '\\' || c.is_whitespace() || c.is_control()) {
            return Err("not a URL: there is a backslash, a white space or a control character in it".to_owned());
        }
        let host = host_of(text);
        // The URL parser takes one slash, or three, for two: then the host would be elsewhere than we think it is.
        let begins = ["https://", "http://"].iter().any(|scheme| text.starts_with(scheme));
        if text.contains('{') && (!begins || host.is_empty()) {
            return Err("a URL with a placeholder begins with https:// and its host".to_owned());
        }
        let (mut pieces, mut rest, mut offset) = (Vec::new(), text, 0);
        while let Some(open) = rest.find('{') {
            let end = rest[open..].find('}').ok_or("a '{' without its '}'")?;
            let name = &rest[open + 1..open + end];
            let legal = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-');
            if name.is_empty() || !name.bytes().all(legal) {
                return Err("between '{' and '}' stands the name of an input".to_owned());
            }
            let position = position(text, &host, offset + open)?;
            pieces.push(Piece::Fixed(rest[..open].to_owned()));
            pieces.push(Piece::Value(name.to_owned(), position));
            offset += open + end + 1;
            rest = &rest[open + end + 1..];
        }
        if rest.contains('}') {
            return Err("a '}' without its '{'".to_owned());
        }
        pieces.push(Piece::Fixed(rest.to_owned()));
        let mut template = Self { text: text.to_owned(), pieces, url: None };
        let tried = Endpoint::parse(&template.written(|_, _| Ok::<_, ()>(STAND_IN.to_owned())).unwrap_or_default())?;
        if template.names().next().is_none() {
            template.url = Some(tried.url().clone());
        }
        Ok(template)
    }

    /// The URL; `None` while a value is missing from it, so that nothing can be sent to a template.
    pub fn url(&self) -> Option<&Url> {
        self.url.as_ref()
    }

    /// The text as the entry has it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names of the values, and where each stands.
    pub fn names(&self) -> impl Iterator<Item = (&str, Position)> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Value(name, position) => Some((name.as_str(), *position)),
            Piece::Fixed(_) => None,
        })
    }

    /// The template with those values in their places that `value` gives: each with the input that it belongs to, whose
    /// list of hosts has the last word. What `value` does not know stays a placeholder.
    ///
    /// # Errors
    /// Where a value cannot stand where it should.
    pub fn fill<'v>(&self, value: impl Fn(&str) -> Option<(&'v Input, &'v str)>) -> Result<Self, InputFault> {
        if self.url.is_some() || self.is_absent() {
            return Ok(self.clone());
        }
        let text = self.written(|name, position| match value(name) {
            Some((input, value)) => placed(name, input, value, position),
            None => Ok(format!("{{{name}}}")),
        })?;
        Self::parse(&text).map_err(|_| InputFault::Unusable)
    }

    /// The template with our client's id, which is the operator's and stands in a path alone, for `{client_id}`.
    #[must_use]
    pub fn with_client_id(&self, id: &str) -> Option<Url> {
        let id = utf8_percent_encode(id, NON_ALPHANUMERIC).to_string();
        let text = self.written(|name, _| if name == "client_id" { Ok(id.clone()) } else { Err(()) }).ok()?;
        Some(Endpoint::parse(&text).ok()?.url().clone())
    }

    fn written<E>(&self, mut value: impl FnMut(&str, Position) -> Result<String, E>) -> Result<String, E> {
        let mut text = String::with_capacity(self.text.len() + 32);
        for piece in &self.pieces {
            match piece {
                Piece::Fixed(fixed) => text.push_str(fixed),
                Piece::Value(name, position) => text.push_str(&value(name, *position)?),
            }
        }
        Ok(text)
    }
}

/// The value as it stands in the URL.
fn placed(name: &str, input: &Input, value: &str, position: Position) -> Result<String, InputFault> {
    let good = match position {
        Position::Label => input::label(value),
        Position::Host => input.listed_host(value),
        // Two dots would climb; an empty segment would move the ones after it.
        Position::Beyond if matches!(value, "" | "." | "..") => None,
        Position::Beyond => Some(utf8_percent_encode(value, ESCAPED).to_string()),
    };
    good.ok_or_else(|| InputFault::malformed(name, input))
}

/// Where the host is in the text: after `://`, up to the port, the path or the query.
fn host_of(text: &str) -> std::ops::Range<usize> {
    let start = text.find("://").map_or(0, |at| at + 3);
    let end = text[start..].find(['/', '?', '#', '\\', ':', '@']).map_or(text.len(), |end| start + end);
    start..end
}

/// What the placeholder at `at` stands for.
fn position(text: &str, host: &std::ops::Range<usize>, at: usize) -> Result<Position, String> {
    if at >= host.end {
        let authority = text[host.start..].find(['/', '?', '#', '\\']).map_or(text.len(), |end| host.start + end);
        return if at >= authority { Ok(Position::Beyond) } else { Err("a placeholder cannot be the port".to_owned()) };
    }
    if !text.starts_with("https://") || at < host.start {
        return Err("before a placeholder in the host stands https://".to_owned());
    }
    let labels: Vec<&str> = text[host.clone()].split('.').collect();
    let whole = |label: &&str| label.starts_with('{') && label.find('}') == Some(label.len() - 1);
    let fixed = |label: &&str| !label.is_empty() && !label.contains(['{', '}']);
    if let [only] = labels[..] {
        return if whole(&only) {
            Ok(Position::Host)
        } else {
            Err("a placeholder is the whole host, or one whole label of it".to_owned())
        };
    }
    let under_a_domain = labels.len() > 2 && labels[labels.len() - 2..].iter().all(fixed);
    if under_a_domain && labels.iter().all(|label| whole(label) || fixed(label)) {
        Ok(Position::Label)
    } else {
        Err("a placeholder in the host is one whole label under a fixed domain, as in https://{name}.acme.example"
            .to_owned())
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.url.as_ref().map_or(&self.text, |url| url.as_str()))
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            DISCOVERED => Ok(Self::absent()),
            text => Self::parse(text).map_err(de::Error::custom),
        }
    }
}
