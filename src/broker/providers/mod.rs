//! The catalogue, as the settings extend it: list, look up and check.

mod check;
mod list;
mod lookup;

pub use check::{EndpointCheck, ProviderReport};
pub use list::ProviderInfo;
pub use lookup::{ProviderRow, UnknownProvider};
