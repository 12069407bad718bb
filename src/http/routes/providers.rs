//! `/v1/integrations/providers`: the catalogue as this server offers it.

use super::route::{Authorized, route};
use crate::broker::{Caller, ProviderInfo};
use crate::http::json::{JsonReply, Many};
use crate::http::problem::Problem;
use crate::permission::Permission::ReadIntegrations;

route!(LIST: GET "/v1/integrations/providers", Some(ReadIntegrations), OK, Cheap, Empty, [],
    "List the providers", list);

async fn list(request: Authorized<Caller>) -> Result<JsonReply<Many<ProviderInfo>>, Problem> {
    Ok(JsonReply::raw(request.app.broker.providers()))
}
