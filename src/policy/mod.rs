//! Rules for requests that are sent with a credential: pure functions over the facts of a request.

mod host_pattern;

pub use host_pattern::{HostPattern, HostPatternError};
