//! `strongroom doctor`: checks of this installation.

mod command;
mod findings;
mod process;
mod readiness;
mod vault;

pub(in crate::cli) use command::Doctor;
