//! OAuth logins: the code flow of an application or a terminal, the device flow, and MCP servers.

mod additional_tokens;
mod complete;
pub(in crate::broker) mod connect;
pub(in crate::broker) mod connectable;
mod device;
mod discard;
mod failure;
mod initiate;
pub(in crate::broker) mod issuer_cache;
mod keep;
mod key_limits;
mod mcp;
pub(in crate::broker) mod rejected_clients;

pub use additional_tokens::FurtherCredential;
pub use complete::CompleteRequest;
pub use connect::callback_path;
pub use device::{DeviceInitiateRequest, DeviceInitiateResponse, DevicePoll, DevicePollRequest, DeviceWaiting};
pub use initiate::{InitiateRequest, InitiateResponse};
pub use keep::CompleteResponse;
