//! `/v1/grants`: what API keys may do with which credentials.

use super::route::{Authorized, route};
use crate::broker::{Administrator, DEFAULT_LIMIT, ExplainRequest, GrantExplanation, GrantFilter, GrantView};
use crate::http::json::{JsonReply, Many, One};
use crate::http::problem::{GRANT_NOT_FOUND, NOT_GRANTED, Problem};
use crate::http::request::grant_body::GrantBody;
use crate::http::request::query;
use crate::permission::Permission::Admin;

/// Longest page.
const MAX_LIMIT: u32 = 1_000;

route!(LIST: GET "/v1/grants", Some(Admin), OK, Cheap, Grants, [&[&NOT_GRANTED]], "List the grants of API keys", list);
route!(CREATE: POST "/v1/grants", Some(Admin), CREATED, Commit, Empty, [&[&NOT_GRANTED]], "Add a grant to an API key", create);
route!(GET: GET "/v1/grants/{grant_id}", Some(Admin), OK, Cheap, Empty, [&[&NOT_GRANTED, &GRANT_NOT_FOUND]],
    "Get one grant", get);
route!(REMOVE: DELETE "/v1/grants/{grant_id}", Some(Admin), OK, Commit, Empty, [&[&NOT_GRANTED, &GRANT_NOT_FOUND]],
    "Remove a grant", remove);
route!(EXPLAIN: POST "/v1/grants/explain", Some(Admin), OK, Cheap, Empty, [&[&NOT_GRANTED]],
    "Explain the decision about a request", explain);

async fn list(request: Authorized<Administrator>) -> Result<JsonReply<Many<GrantView>>, Problem> {
    let filter = query::grants(request.query())?;
    let limit = filter.limit.unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
    let list = request.app.broker.grants(&request.caller, &GrantFilter { limit: Some(limit), ..filter })?;
    let next = list.next_after.map(|after| {
        let key = filter.key.map(|key| format!("key={key}&")).unwrap_or_default();
        format!("{}/v1/grants?{key}limit={limit}&after={after}", request.app.settings.base_path)
    });
    Ok(JsonReply::json(&list.grants)?.next(next))
}

async fn create((request, body): (Authorized<Administrator>, GrantBody)) -> Result<JsonReply<One<GrantView>>, Problem> {
    JsonReply::json(&request.app.broker.add_grant(&request.caller, body.try_into()?).await?)
}

async fn get(request: Authorized<Administrator>) -> Result<JsonReply<One<GrantView>>, Problem> {
    JsonReply::json(&request.app.broker.grant(&request.caller, request.param(0))?)
}

async fn remove(request: Authorized<Administrator>) -> Result<JsonReply<One<GrantView>>, Problem> {
    JsonReply::json(&request.app.broker.remove_grant(&request.caller, request.param(0)).await?)
}

async fn explain(
    (request, body): (Authorized<Administrator>, ExplainRequest),
) -> Result<JsonReply<One<GrantExplanation>>, Problem> {
    JsonReply::json(&request.app.broker.explain_grants(&request.caller, &body)?)
}
