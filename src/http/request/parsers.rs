//! The parsers of this module that nobody outside it calls, for `crate::properties`.

use serde_json::Value;

use super::bodies::CreateBody;
use super::json_body;
use crate::broker::{CompleteRequest, InitiateRequest};

/// Reads `bytes` as every body that there is; gives the faults of each that it is not.
pub(crate) fn bodies(bytes: &[u8]) -> Vec<Value> {
    let faults = [
        json_body::parse::<InitiateRequest>(None, bytes).err(),
        json_body::parse::<CompleteRequest>(None, bytes).err(),
        json_body::parse::<CreateBody>(None, bytes).err(),
    ];
    faults.into_iter().flatten().filter_map(|faults| serde_json::to_value(faults).ok()).collect()
}
