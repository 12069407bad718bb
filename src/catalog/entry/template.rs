//! URLs with placeholders for inputs: `https://{subdomain}.acme.example/oauth/token`.
//!
//! The host of the token endpoint receives the code, the verifier and the client secret. So a value
//! can be one whole label under a domain that the entry fixes, or the whole host if the entry's
//! list has it. In a path or a query it is percent-encoded, so that it cannot change the rest of
//! the URL.

use std::ops::Range;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use url::Url;

use super::input::{self, Input, InputFault};
use super::value::Endpoint;

/// The characters that are escaped in a path or a query: all but the unreserved ones of RFC 3986.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The value for checking a template: it is a legal label, path segment and query value.
const STAND_IN: &str = "x";

/// A URL, or a URL with placeholders. Any values make it an [`Endpoint`] under the hosts that it
/// allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    /// The placeholders in the text, with their braces.
    values: Vec<(Range<usize>, Position)>,
    url: Option<Url>,
    /// True if a value was filled into the host.
    host_is_filled: bool,
}

/// The place of a value in the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// One label of the host, under a fixed domain.
    Label,
    /// The whole host.
    Host,
    /// The path or the query.
    Beyond,
}

/// The text in an entry for a URL that discovery finds.
pub(in crate::catalog) const DISCOVERED: &str = "discovered";

impl From<&Endpoint> for Template {
    fn from(endpoint: &Endpoint) -> Self {
        Self {
            text: endpoint.url().to_string(),
            values: Vec::new(),
            url: Some(endpoint.url().clone()),
            host_is_filled: false,
        }
    }
}

impl Default for Template {
    /// A URL that is not known yet: discovery finds it.
    fn default() -> Self {
        Self { text: DISCOVERED.to_owned(), values: Vec::new(), url: None, host_is_filled: false }
    }
}

impl Template {
    /// Returns true if discovery finds it.
    pub fn is_absent(&self) -> bool {
        self.text == DISCOVERED
    }

    /// Reads and checks the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.contains(|c: char| c == '\\' || c.is_whitespace() || c.is_control()) {
            return Err("not a URL: there is a backslash, a white space or a control character in it".to_owned());
        }
        let host = host_of(text);
        // The URL parser accepts one slash, or three, as two. The host would then be in another
        // place than here.
        let begins = ["https://", "http://"].iter().any(|scheme| text.starts_with(scheme));
        if text.contains('{') && (!begins || host.is_empty()) {
            return Err("a URL with a placeholder begins with https:// and its host".to_owned());
        }
        let (mut values, mut end) = (Vec::new(), 0);
        while let Some(open) = text[end..].find('{').map(|open| end + open) {
            let close = open + text[open..].find('}').ok_or("a '{' without its '}'")?;
            let name = &text[open + 1..close];
            let legal = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-');
            if name.is_empty() || !name.bytes().all(legal) {
                return Err("between '{' and '}' stands the name of an input".to_owned());
            }
            values.push((open..close + 1, position(text, &host, open)?));
            end = close + 1;
        }
        if text[end..].contains('}') {
            return Err("a '}' without its '{'".to_owned());
        }
        let mut template = Self { text: text.to_owned(), values, url: None, host_is_filled: false };
        let tried = Endpoint::parse(&template.written(|_, _| Ok::<_, ()>(STAND_IN.to_owned())).unwrap_or_default())?;
        if template.values.is_empty() {
            template.url = Some(tried.url().clone());
        }
        Ok(template)
    }

    /// Returns the URL; `None` if a value is missing, so that nothing can be sent to a template.
    pub fn url(&self) -> Option<&Url> {
        self.url.as_ref()
    }

    /// Returns the text as the entry has it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns true if the host depends on a value that is not the entry's own.
    pub fn host_is_chosen(&self) -> bool {
        self.host_is_filled || self.values.iter().any(|(_, position)| *position != Position::Beyond)
    }

    /// Returns the names of the values and their places.
    pub fn names(&self) -> impl Iterator<Item = (&str, Position)> {
        self.values.iter().map(|(range, position)| (self.name(range), *position))
    }

    fn name(&self, braces: &Range<usize>) -> &str {
        &self.text[braces.start + 1..braces.end - 1]
    }

    /// Fills in the values that `value` gives, each with its input, whose list of hosts is checked
    /// again. Other placeholders stay.
    ///
    /// # Errors
    /// A value is not legal in its place.
    pub fn fill<'v>(&self, value: impl Fn(&str) -> Option<(&'v Input, &'v str)>) -> Result<Self, InputFault> {
        if self.url.is_some() || self.is_absent() {
            return Ok(self.clone());
        }
        let text = self.written(|name, position| match value(name) {
            Some((input, value)) => placed(name, input, value, position),
            None => Ok(format!("{{{name}}}")),
        })?;
        let filled = Self::parse(&text).map_err(|_| InputFault::Unusable)?;
        Ok(Self { host_is_filled: self.host_is_chosen(), ..filled })
    }

    /// Fills in the client id, which the operator sets, for `{client_id}` in a path.
    #[must_use]
    pub fn with_client_id(&self, id: &str) -> Option<Url> {
        let id = utf8_percent_encode(id, NON_ALPHANUMERIC).to_string();
        let text = self.written(|name, _| if name == "client_id" { Ok(id.clone()) } else { Err(()) }).ok()?;
        Some(Endpoint::parse(&text).ok()?.url().clone())
    }

    fn written<E>(&self, mut value: impl FnMut(&str, Position) -> Result<String, E>) -> Result<String, E> {
        let (mut text, mut end) = (String::with_capacity(self.text.len() + 32), 0);
        for (range, position) in &self.values {
            text.push_str(&self.text[end..range.start]);
            text.push_str(&value(self.name(range), *position)?);
            end = range.end;
        }
        text.push_str(&self.text[end..]);
        Ok(text)
    }
}

/// Returns the value as it is written into the URL.
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

/// Returns the range of the host in the text: after `://`, up to the port, the path or the query.
fn host_of(text: &str) -> Range<usize> {
    let start = text.find("://").map_or(0, |at| at + 3);
    let end = text[start..].find(['/', '?', '#', '\\', ':', '@']).map_or(text.len(), |end| start + end);
    start..end
}

/// Returns the place of the placeholder at `at`.
fn position(text: &str, host: &Range<usize>, at: usize) -> Result<Position, String> {
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
            DISCOVERED => Ok(Self::default()),
            text => Self::parse(text).map_err(de::Error::custom),
        }
    }
}
