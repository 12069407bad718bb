//! The command line, as users and scripts run it.

#![allow(clippy::unwrap_used, reason = "an unexpected value fails the test")]
#![allow(unreachable_pub, reason = "shared by the modules of this binary")]

#[path = "../support/mod.rs"]
mod support;

#[cfg(target_os = "linux")]
mod agent;
mod beside_server;
#[cfg(target_os = "linux")]
mod cases;
mod commands;
mod config;
mod confirm;
mod dev;
mod import;
mod mcp;
#[cfg(target_os = "linux")]
mod run;
