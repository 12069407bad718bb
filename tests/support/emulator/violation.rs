//! The rule that a request broke.

/// A broken rule. Names parameters and headers, and contains no values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(pub String);

/// Fails with `otherwise` unless `holds`.
pub fn require(holds: bool, otherwise: &str) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation(otherwise.to_owned())) }
}
