//! The callback of a login: a request to the loopback listener, or an address that was pasted.

use std::collections::BTreeMap;

use crate::secret::Secret;

/// Query parameters of the callback, except `state`.
pub(in crate::cli) type CallbackParameters = BTreeMap<String, Secret>;

/// What came back from the provider.
#[derive(Clone)]
pub(in crate::cli) enum AuthorizationResponse {
    /// The callback of this login.
    Callback(CallbackParameters),
    /// An error without `state`, as some providers send it. It may come from any page.
    Denial(CallbackParameters),
}

impl AuthorizationResponse {
    /// Reads the query of a callback (RFC 6749 §4.1.2). The error says why it does not count.
    pub(in crate::cli) fn read(query: &str, awaited: &Secret) -> Result<Self, &'static str> {
        let mut parameters = CallbackParameters::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if parameters.insert(name.into_owned(), Secret::new(value)).is_some() {
                return Err("A parameter was repeated (RFC 6749 §3.1).");
            }
        }
        match parameters.remove("state") {
            Some(state) if awaited.equals(state.expose()) => Ok(Self::Callback(parameters)),
            None if parameters.get("error").is_some_and(|error| !error.expose().is_empty()) => {
                Ok(Self::Denial(parameters))
            }
            _ => Err("This callback does not belong to the login in the terminal."),
        }
    }
}
