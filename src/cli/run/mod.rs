//! `strongroom run`: starts a command that uses credentials without seeing them.
//!
//! The relay in this process adds the API key to the requests of the command. It has no vault, and
//! the key obtains no secret.

mod bundle;
mod check;
mod child;
mod command;
mod environment;
mod key;
mod message;
mod node;
mod peer;
mod relay;
mod server;
mod tunnel;

pub(super) use command::Run;
