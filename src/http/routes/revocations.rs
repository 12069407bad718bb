//! `/v1/revocations`: revocations that wait for their provider.

use super::route::{Authorized, route};
use crate::broker::{Administrator, CredentialPage, DEFAULT_LIMIT, WaitingRevocation};
use crate::http::json::{JsonReply, Many, next_page};
use crate::http::problem::Problem;
use crate::http::request::query;
use crate::permission::Permission::Admin;

/// Longest page. A revocation has a few hundred bytes.
const MAX_LIMIT: u32 = 10_000;

/// Damaged revocations that one request names in the log; the header counts all of them.
const MAX_LOGGED: usize = 10;

route!(LIST: GET "/v1/revocations", Some(Admin), OK, Cheap, Page, [], "List the queued revocations", list);

async fn list(request: Authorized<Administrator>) -> Result<JsonReply<Many<WaitingRevocation>>, Problem> {
    let page = query::page(request.query())?;
    let page = CredentialPage { limit: Some(page.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT)), ..page };
    let list = request.app.broker.revocations(&request.caller, page)?;
    for error in list.damaged.iter().take(MAX_LOGGED) {
        tracing::error!(
            %error,
            "a damaged revocation is left out of the list: `strongroom vault repair` erases it; revoke it by hand"
        );
    }
    let path = format!("{}/v1/revocations", request.app.settings.base_path);
    let reply = JsonReply::json(&list.revocations)?.damaged(list.damaged.len());
    Ok(reply.next(next_page(&path, page, list.next_after)))
}
