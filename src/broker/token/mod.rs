//! Live tokens: reading them, refreshing them on demand, and refreshing them ahead of expiry.

mod background;
mod live_token;
pub(in crate::broker) mod outcome;
mod refresh;
pub(in crate::broker) mod schedule;
pub(in crate::broker) mod single_flight;

pub use live_token::{DEFAULT_MIN_TTL, LiveSecret, UsableSecret};
