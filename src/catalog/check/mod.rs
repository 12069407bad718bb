//! Checks of an entry whose values are all well-formed: contradictions, parameters and headers that
//! an entry must not set, ambiguous scopes.

mod checks;
mod hosts;
mod oauth;
mod token;
mod urls;

use super::entry::input::InputFrom;
use super::entry::value::Endpoint;
use super::entry::{Entry, Mcp};
use crate::config::Finding;
use crate::kind::Kind;
use checks::Checks;

/// Returns every contradiction in the entry.
pub(super) fn check(entry: &Entry) -> Vec<Finding> {
    let mut found = Checks::default();
    found.text("display_name", &entry.display_name);
    for (i, note) in entry.notes.iter().enumerate() {
        found.text(&format!("notes[{i}]"), note);
    }
    let any = Kind::ALL.into_iter().any(|kind| entry.takes(kind));
    found.unless(
        any,
        "",
        "the provider takes no credential; give it [oauth], [mcp], [api_key], [user_password] or [host_scoped]",
    );
    if let Some(oauth) = &entry.oauth {
        found.oauth(oauth);
        found.unless(entry.mcp.is_none(), "mcp", "an MCP server says itself what [oauth] would; leave one of them out");
    }
    if let Some(mcp) = &entry.mcp {
        found.mcp(mcp);
    }
    if let Some(api_key) = &entry.api_key {
        found.inputs("api_key", &api_key.inputs, &[("base_url", api_key.base_url.as_ref(), InputFrom::Caller)]);
        found.headers("api_key.headers", &api_key.headers);
    }
    if let Some(password) = &entry.user_password {
        found.inputs("user_password", &password.inputs, &[("base_url", password.base_url.as_ref(), InputFrom::Caller)]);
        found.headers("user_password.headers", &password.headers);
    }
    found.hosts(&entry.hosts);
    found.env(entry);
    found.0
}

impl Checks {
    fn env(&mut self, entry: &Entry) {
        for name in entry.env.keys() {
            let is_name = name.starts_with(|c: char| c.is_ascii_uppercase())
                && name.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_');
            // These would change the command itself, or what Strongroom reads.
            let is_ours = name == "PATH" || ["STRONGROOM_", "LD_"].iter().any(|prefix| name.starts_with(prefix));
            let message = "not a variable of a provider: capital letters, digits and '_'";
            self.unless(is_name && !is_ours && !name.ends_with("_PROXY"), format!("env.{name}"), message);
        }
        let is_used = entry.placeholder.is_none() || !entry.env.is_empty();
        self.unless(is_used, "placeholder", "goes with env, whose variables have it");
    }

    fn mcp(&mut self, mcp: &Mcp) {
        if let Some(issuer) = &mcp.issuer {
            let good = Endpoint::parse(issuer).is_ok_and(|issuer| issuer.url().query().is_none());
            self.unless(good, "mcp.issuer", "an issuer is an https URL without query and fragment");
        }
        for (i, scope) in mcp.default_scopes.iter().enumerate() {
            self.scope(&format!("mcp.default_scopes[{i}]"), scope);
        }
    }
}
