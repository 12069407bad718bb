//! Rules for requests that are sent with a credential: pure functions over the facts of a request.
//!
//! [`KeyRules::decide`] evaluates the grants of an API key. The facts are canonical first: the
//! [`Destination`] and the [`CanonicalPath`] have one spelling each, or the request is rejected.

mod approval;
mod bound_hosts;
mod decision;
mod destination;
mod glob;
mod grant;
mod host_pattern;
mod path;
mod rate;

pub use approval::{ApprovalFacts, MAX_APPROVAL_BODY};
pub use bound_hosts::BoundHosts;
pub use decision::{Explanation, KeyRules, PolicyDecision};
pub use destination::{Destination, DestinationError, Scheme};
pub use glob::{PathPattern, PathPatternError};
pub use grant::{AllowTerms, Approval, Effect, KeyGrant, MethodRule, MethodRuleError, Mismatch, RequestFacts};
pub use host_pattern::{HostPattern, HostPatternError};
pub use path::{CanonicalPath, PathError, RequestTarget, Segments};
pub use rate::{Rate, RateError};

#[cfg(test)]
mod tests;
