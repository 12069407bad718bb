//! `strongroom grant list`: the grants of one API key or of all.

use crate::broker::{Administrator, Approval, EffectName, GrantFilter, GrantView};
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::Output;
use crate::id::{ApiKeyId, ProviderName};

pub(super) fn list(key: Option<ApiKeyId>, json: bool, context: &Context, out: &mut Output) -> Result<(), Failure> {
    let (broker, operator) = (context.broker()?, Administrator::command_line(None));
    let (mut grants, mut filter) = (Vec::new(), GrantFilter { key, ..GrantFilter::default() });
    loop {
        let page = broker
            .grants(&operator, &filter)
            .map_err(|error| Failure::from(error).advise("`strongroom key list` lists all keys"))?;
        grants.extend(page.grants);
        filter.after = page.next_after;
        if filter.after.is_none() {
            break;
        }
    }
    out.list(json, &grants, ["ID", "KEY", "EFFECT", "REQUESTS", "TERMS"], |grant| {
        let effect = if grant.effect == EffectName::Allow { "allow" } else { "deny" };
        [grant.id.to_string(), grant.key.to_string(), effect.to_owned(), matches_text(grant), terms_text(grant)]
    })
}

/// Describes the requests that a grant matches.
pub(super) fn matches_text(grant: &GrantView) -> String {
    let providers: Vec<&str> = grant.providers.iter().map(ProviderName::as_str).collect();
    let credentials: Vec<String> = grant.credentials.iter().map(ToString::to_string).collect();
    let conditions = [
        ("", grant.methods.join(",")),
        ("provider ", providers.join(",")),
        ("credential ", credentials.join(",")),
        ("host ", grant.hosts.join(",")),
        ("path ", grant.paths.join(",")),
    ];
    let named = conditions.into_iter().filter(|(_, list)| !list.is_empty());
    let texts: Vec<String> = named.map(|(kind, list)| format!("{kind}{list}")).collect();
    if texts.is_empty() { "all requests".to_owned() } else { texts.join("; ") }
}

/// Describes what an allow asks for; empty if nothing.
pub(super) fn terms_text(grant: &GrantView) -> String {
    let rate = grant.rate.clone();
    let expires = grant.expires.map(|at| format!("until {at}"));
    let approval = (grant.approval == Approval::Always).then(|| "with approval".to_owned());
    rate.into_iter().chain(expires).chain(approval).collect::<Vec<_>>().join(", ")
}
