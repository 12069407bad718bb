//! `strongroom connect`: an account is connected from a terminal.

mod browser;
mod callback_page;
mod command;
mod device;
mod loopback;

pub(in crate::cli) use command::Connect;
