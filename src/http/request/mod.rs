//! Reading of a request: its body within the limits, JSON into typed bodies, the query, and the
//! list of faults.

pub(crate) mod body;
pub(crate) mod context;
pub(crate) mod create_body;
pub(crate) mod grant_body;
pub(crate) mod json_body;
#[cfg(any(test, fuzzing))]
pub(crate) mod parsers;
pub(crate) mod path_params;
pub(crate) mod query;
pub(crate) mod update_body;
