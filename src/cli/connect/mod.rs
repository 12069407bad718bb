//! `strongroom connect`: an account is connected from a terminal.

mod authorization_response;
mod browser;
mod callback_page;
mod command;
mod device;
mod loopback;
mod paste;

pub(in crate::cli) use command::Connect;
