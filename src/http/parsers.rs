//! The parsers of this module that nobody outside it calls, for `crate::properties`.

use serde_json::Value;

use super::body;
use super::fault::Fault;
use crate::broker::{CompleteRequest, CreateRequest, InitiateRequest};

/// Reads `bytes` as every body that there is; gives the faults of each that it is not.
pub(crate) fn bodies(bytes: &[u8]) -> Vec<Value> {
    let faults = [
        body::parse::<InitiateRequest>(None, bytes).err(),
        body::parse::<CompleteRequest>(None, bytes).err(),
        body::parse::<CreateRequest>(None, bytes).err(),
    ];
    faults.into_iter().flatten().map(|faults| faults.iter().map(Fault::to_json).collect()).collect()
}
