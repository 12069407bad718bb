//! `strongroom key list`: all API keys, oldest first.

use super::shown::{expiry_text, holder_text, limits_text, listed, status};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::clock::Clock;

pub(super) fn list(json: bool, context: &Context, out: &mut Output) -> Result<(), Failure> {
    let (keys, now) = (context.admin()?.api_keys()?, Clock::system().now());
    if json {
        return out.json(&keys.iter().map(|key| listed(key, now)).collect::<Vec<_>>());
    }
    out.table(&keys, ["ID", "NAME", "FOR", "PERMISSIONS", "LIMITED TO", "UNMATCHED", "EXPIRES", "STATUS"], |key| {
        [
            key.id.to_string(),
            key.name.clone().unwrap_or_default(),
            holder_text(&key.holder),
            key.permissions.to_string(),
            limits_text(key).unwrap_or_default(),
            key.unmatched.name().to_owned(),
            expiry_text(key.expires_at),
            status(key, now).to_owned(),
        ]
    })
}
