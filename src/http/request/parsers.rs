//! Private parsers of this module, for `crate::properties`.

use serde_json::Value;

use super::create_body::CreateBody;
use super::json_body;
use crate::broker::{CompleteRequest, InitiateRequest};

/// Parses `bytes` as each kind of body; returns the faults of each kind that it is not.
pub(crate) fn bodies(bytes: &[u8]) -> Vec<Value> {
    let faults = [
        json_body::parse::<InitiateRequest>(None, bytes).err(),
        json_body::parse::<CompleteRequest>(None, bytes).err(),
        json_body::parse::<CreateBody>(None, bytes).err(),
    ];
    faults.into_iter().flatten().filter_map(|faults| serde_json::to_value(faults).ok()).collect()
}
