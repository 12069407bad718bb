//! `/v1/integrations/providers`: the catalogue as this server offers it, and one provider of it.

use url::form_urlencoded;

use super::route::{Authorized, route};
use crate::broker::{Caller, ProviderDetail, ProviderInfo};
use crate::http::json::{JsonReply, Many, One};
use crate::http::problem::{PROVIDER_NOT_FOUND, Problem};
use crate::http::request::query;
use crate::permission::Permission::ReadIntegrations;

route!(LIST: GET "/v1/integrations/providers", Some(ReadIntegrations), OK, Cheap, Providers, [],
    "List the providers", list);

route!(SHOW: GET "/v1/integrations/providers/{name}", Some(ReadIntegrations), OK, Cheap, Empty,
    [&[&PROVIDER_NOT_FOUND]], "Describe one provider", show);

async fn list(request: Authorized<Caller>) -> Result<JsonReply<Many<ProviderInfo>>, Problem> {
    let filter = query::providers(request.query())?;
    let mut page = request.app.broker.providers(&filter);
    // The whole list is in memory once, for all requests.
    if page.gzip.is_none() {
        page.json = request.app.body_budget.hold(|| request.caller.share_name(), page.json)?;
    }
    let next = page.next_after.as_ref().map(|after| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("q", &filter.words.join(" "));
        if let Some(configured) = filter.configured {
            query.append_pair("configured", &configured.to_string());
        }
        query.append_pair("limit", &filter.limit.unwrap_or_default().to_string()).append_pair("after", after);
        format!("{}/v1/integrations/providers?{}", request.app.settings.base_path, query.finish())
    });
    Ok(JsonReply::cached(page, request.headers()).next(next))
}

async fn show(request: Authorized<Caller>) -> Result<JsonReply<One<ProviderDetail>>, Problem> {
    JsonReply::json(&request.app.broker.provider_detail(request.param(0))?)
}
