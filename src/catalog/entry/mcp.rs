//! MCP servers (Model Context Protocol). The server itself describes its authorization (RFC 9728,
//! RFC 8414, RFC 7591), so the entry has few keys.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::input::InputFault;
use super::value::Endpoint;

/// The entry of an MCP server.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mcp {
    /// The server. Without it, the caller names the server as the input `server_url`.
    pub server_url: Option<Endpoint>,
    /// The authorization server at which the configured client is registered. No other server ever
    /// sees the client.
    pub issuer: Option<String>,
    /// Scopes for requests in which the caller names none. If this is empty, the scopes that the
    /// server requires.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub default_scopes: Vec<String>,
}

impl Mcp {
    /// The name of the input by which the caller names the server.
    pub const INPUT: &str = "server_url";
    /// A legal value of it.
    pub const EXAMPLE: &str = "https://mcp.example.com/mcp";

    /// Returns the server of the entry, or the one that the caller names.
    ///
    /// # Errors
    /// The caller names none, or its URL is not accepted.
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
