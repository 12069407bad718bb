//! A provider that is a server of the Model Context Protocol: everything about its authorization is asked of the server itself
//! (RFC 9728, RFC 8414, RFC 7591), so the entry has little to say.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::input::InputFault;
use super::value::Endpoint;

/// What an entry says of an MCP server.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mcp {
    /// The server; where nothing is said the caller names it, as the input `server_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_url: Option<Endpoint>,
    /// The authorization server at which our configured client is registered: no other ever sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Scopes that are asked for where the caller names none; those that the server says it needs, where this is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub default_scopes: Vec<String>,
}

impl Mcp {
    /// What the input is called by which the caller names the server.
    pub const INPUT: &str = "server_url";
    /// A good value of it.
    pub const EXAMPLE: &str = "https://mcp.example.com/mcp";

    /// The server: the entry's own, or the one that the caller names.
    ///
    /// # Errors
    /// Where nobody names one, or it is no URL that is fetched.
    pub fn server(&self, inputs: &BTreeMap<String, String>) -> Result<Endpoint, InputFault> {
        if let Some(fixed) = &self.server_url {
            return Ok(fixed.clone());
        }
        let (name, example) = (Self::INPUT.to_owned(), Self::EXAMPLE.to_owned());
        match inputs.get(Self::INPUT) {
            None => Err(InputFault::Missing { name, example }),
            Some(text) => Endpoint::parse(text).map_err(|_| InputFault::Malformed { name, example }),
        }
    }
}
