//! `strongroom mcp`: the MCP server of a running Strongroom, over standard input and output.

mod command;
mod endpoint;
mod relay;

pub(super) use command::McpCommand;
