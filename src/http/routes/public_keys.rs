//! `/v1/oauth/…`: documents about this OAuth client that authorization servers fetch.

use super::route::route;
use crate::broker::{ClientMetadata, PublishedKeys};
use crate::http::app::App;
use crate::http::json::{JsonReply, One};
use crate::http::problem::{self, Problem};

route!(JWKS: GET "/v1/oauth/jwks.json", None, OK, Cheap, Empty, [], "The public keys of this client", jwks);
route!(CLIENT: GET "/v1/oauth/client.json", None, OK, Cheap, Empty, [&[&problem::NOT_FOUND]],
    "The client-id metadata document", client);

async fn jwks(app: App) -> Result<JsonReply<One<PublishedKeys>>, Problem> {
    JsonReply::json(&app.broker.published_keys())
}

async fn client(app: App) -> Result<JsonReply<One<ClientMetadata>>, Problem> {
    let absent = || {
        let detail =
            "There is no client-id metadata document: it needs an https server.public_url and oauth.redirect_uris.";
        Problem::new(&problem::NOT_FOUND, detail)
    };
    JsonReply::json(&app.broker.client_metadata().ok_or_else(absent)?)
}
