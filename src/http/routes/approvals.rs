//! `/v1/approvals`: requests that a person approves before they are sent.

use super::route::{Authorized, route};
use crate::broker::{Administrator, ApprovalReader, ApprovalView, DEFAULT_LIMIT};
use crate::http::json::{JsonReply, Many, One};
use crate::http::problem::{APPROVAL_DECIDED, APPROVAL_NOT_FOUND, NOT_GRANTED, Problem};
use crate::http::request::query;
use crate::permission::Permission::Admin;

/// Longest page.
const MAX_LIMIT: u32 = 1_000;

/// Damaged approvals that one request names in the log; the header counts all of them.
const MAX_LOGGED: usize = 10;

route!(LIST: GET "/v1/approvals", Some(Admin), OK, Cheap, Page, [&[&NOT_GRANTED]],
    "List the requests that wait for approval", list);
route!(GET: GET "/v1/approvals/{approval_id}", Some(Admin), OK, Cheap, Empty, [&[&NOT_GRANTED, &APPROVAL_NOT_FOUND]],
    "Get one request that needs approval; also for the API key that sent it", get);
route!(APPROVE: POST "/v1/approvals/{approval_id}/approve", Some(Admin), OK, Commit, Empty,
    [&[&NOT_GRANTED, &APPROVAL_NOT_FOUND, &APPROVAL_DECIDED]], "Approve a request", approve);
route!(DENY: POST "/v1/approvals/{approval_id}/deny", Some(Admin), OK, Commit, Empty,
    [&[&NOT_GRANTED, &APPROVAL_NOT_FOUND, &APPROVAL_DECIDED]], "Deny a request", deny);

async fn list(request: Authorized<Administrator>) -> Result<JsonReply<Many<ApprovalView>>, Problem> {
    let (limit, after) = query::page_of(request.query())?;
    let limit = limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    let list = request.app.broker.approvals(&request.caller, after, Some(limit))?;
    for error in list.damaged.iter().take(MAX_LOGGED) {
        tracing::error!(%error, "a damaged approval is left out of the list: `strongroom vault repair` erases it");
    }
    let base = &request.app.settings.base_path;
    let next = list.next_after.map(|after| format!("{base}/v1/approvals?limit={limit}&after={after}"));
    Ok(JsonReply::json(&list.approvals)?.damaged(list.damaged.len()).next(next))
}

async fn get(request: Authorized<ApprovalReader>) -> Result<JsonReply<One<ApprovalView>>, Problem> {
    JsonReply::json(&request.app.broker.approval(&request.caller, request.param(0))?)
}

async fn approve(request: Authorized<Administrator>) -> Result<JsonReply<One<ApprovalView>>, Problem> {
    JsonReply::json(&request.app.broker.decide_approval(&request.caller, request.param(0), true).await?)
}

async fn deny(request: Authorized<Administrator>) -> Result<JsonReply<One<ApprovalView>>, Problem> {
    JsonReply::json(&request.app.broker.decide_approval(&request.caller, request.param(0), false).await?)
}
