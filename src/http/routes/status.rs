//! `/healthz` and `/readyz`: probes.

use serde::Serialize;
use utoipa::ToSchema;

use super::route::route;
use crate::http::app::App;
use crate::http::json::{JsonReply, One};
use crate::http::problem::{Problem, VAULT_UNAVAILABLE};

route!(HEALTHZ: GET "/healthz", None, OK, Cheap, Empty, [], "Liveness: the server runs", healthz);
route!(READYZ: GET "/readyz", None, OK, Cheap, Empty, [&[&VAULT_UNAVAILABLE]],
    "Readiness: the vault is open and writable", readyz);

/// State of the server.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `ok`; a server that is not ready answers with another status.
    status: &'static str,
}

async fn healthz(_: App) -> Result<JsonReply<One<Health>>, Problem> {
    JsonReply::json(&Health { status: "ok" })
}

async fn readyz(app: App) -> Result<JsonReply<One<Health>>, Problem> {
    app.broker.ready().await?;
    JsonReply::json(&Health { status: "ok" })
}
