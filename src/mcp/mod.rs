//! A stateless MCP server: agents send requests with a credential by tools, and never see a secret.
//!
//! [`answer`] takes one JSON-RPC message of the streamable HTTP transport. It serves revision
//! 2026-07-28, which has no handshake, and the revisions with `initialize` without sessions. The
//! transport authenticates the caller first and implements [`Tools`] for it.

mod arguments;
mod era;
mod message;
mod response;
mod server;
mod tools;

#[cfg(test)]
mod tests;

pub use arguments::{MAX_BODY, ToolRequest};
pub(crate) use era::mirrored;
pub(crate) use message::{MAX_MESSAGE, RpcError, parse};
pub use response::{ToolError, ToolResponse};
pub use server::{McpAnswer, answer};
pub use tools::Tools;
