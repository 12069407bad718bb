//! The catalogue, as the settings extend it: list, look up and check.

mod check;
mod child_variables;
mod detail;
mod list;
mod lookup;
mod placement;

pub use check::{EndpointCheck, ProviderReport};
pub use child_variables::ChildVariables;
pub use detail::ProviderDetail;
pub(in crate::broker) use list::ProviderList;
pub use list::{ProviderFilter, ProviderInfo, ProviderPage};
pub(in crate::broker) use lookup::nearest;
pub use lookup::{ProviderRow, UnknownProvider};
pub use placement::Placement;
