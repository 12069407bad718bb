//! `strongroom serve` and `strongroom dev`.

pub mod dev;
pub(super) mod serve;
