//! Refreshes: on demand, ahead of time, and with an unknown outcome.

mod ahead;
mod in_doubt;
mod live_token;
