//! Table of all routes, and the description of the API that is written from it.

use bytes::Bytes;
use utoipa::ToSchema;

use super::route::{Route, route};
use super::{approvals, credentials, grants, oauth, providers, proxy, public_keys, revocations, status};
use crate::http::app::App;
use crate::http::json::{JsonReply, One};
use crate::http::openapi;
use crate::http::problem::Problem;

route!(OPENAPI: GET "/openapi.json", None, OK, Cheap, Empty, [], "This API, described in OpenAPI 3.1", describe);

/// Every route, in the order in which OpenAPI lists them.
pub fn table() -> Vec<&'static Route> {
    vec![
        &providers::LIST,
        &providers::SHOW,
        &oauth::INITIATE,
        &oauth::COMPLETE,
        &oauth::DEVICE_INITIATE,
        &oauth::DEVICE_POLL,
        &credentials::LIST,
        &credentials::LIST_OF_PROVIDER,
        &credentials::CREATE,
        &credentials::DELETE,
        &revocations::LIST,
        &grants::LIST,
        &grants::CREATE,
        &grants::GET,
        &grants::REMOVE,
        &grants::EXPLAIN,
        &approvals::LIST,
        &approvals::GET,
        &approvals::APPROVE,
        &approvals::DENY,
        &credentials::GET,
        &credentials::UPDATE,
        &credentials::REFRESH,
        &credentials::TOKEN,
        &proxy::DESTINATIONS,
        &proxy::CA,
        &public_keys::JWKS,
        &public_keys::CLIENT,
        &status::HEALTHZ,
        &status::READYZ,
        &OPENAPI,
    ]
}

/// An OpenAPI document.
#[derive(ToSchema)]
#[schema(value_type = Object)]
pub(crate) struct Description(());

async fn describe(app: App) -> Result<JsonReply<One<Description>>, Problem> {
    let describe = |base_path: &str| Bytes::from(openapi::describe(&table(), base_path).to_string());
    Ok(JsonReply::raw(app.openapi(describe)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_routes_need_no_key() {
        let open: Vec<_> =
            table().into_iter().filter(|route| route.permission.is_none()).map(|route| route.pattern).collect();
        assert_eq!(open, ["/v1/oauth/jwks.json", "/v1/oauth/client.json", "/healthz", "/readyz", "/openapi.json"]);
    }
}
