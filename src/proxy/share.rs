//! The part of the server that one caller may take with requests to providers.

use std::sync::Arc;

/// Keeps a reservation until it is dropped.
pub type Reservation = Box<dyn Send + Sync>;

/// Reserves this many bytes of memory; `None` if the caller has used up its part, or all callers
/// theirs.
pub type Reserve = Arc<dyn Fn(usize) -> Option<Reservation> + Send + Sync>;

/// The party whose requests are counted together, and its memory for bodies.
#[derive(Clone)]
pub struct CallerShare {
    /// Name of the API key, or of the user of an access token.
    pub name: String,
    /// Memory for bodies that are held.
    pub reserve: Reserve,
}
