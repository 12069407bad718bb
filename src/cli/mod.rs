//! The command line, one file a command; no logic of its own.

pub mod application;
pub mod dev;
pub mod serve;
