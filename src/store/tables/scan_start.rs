//! Start of a scan in primary-key order.

/// Returns the operator and the key with which a scan continues after a row. Without one it starts
/// at the first row, even if its key is empty.
pub(super) fn behind(after: Option<&str>) -> (&'static str, &str) {
    after.map_or((">=", ""), |key| (">", key))
}
