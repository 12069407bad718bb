//! `/v1/integrations/…/credentials…`: stored credentials, and the live secrets of those who may use
//! them.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::route::{Authorized, route};
use crate::broker::{Caller, CreateResponse, CredentialDetail, CredentialList, CredentialSummary, DeleteResponse};
use crate::http::json::{JsonReply, Many, One, next_page};
use crate::http::problem::{
    CLIENT_NOT_LENT, GRANT_REFUSED, KIND_NOT_SUPPORTED, NEEDS_REAUTH, NOT_EXPORTABLE, NOT_GRANTED, NOT_REFRESHABLE,
    OF_CREDENTIAL, OF_PROVIDER, OF_STORING, PROVIDER_NOT_FOUND, Problem, QUOTA_EXCEEDED, SENDER_CONSTRAINED,
};
use crate::http::request::create_body::CreateBody;
use crate::http::request::query;
use crate::http::request::update_body::UpdateBody;
use crate::http::secret_response::SecretResponse;
use crate::permission::Permission::{DeleteIntegrations, ManageIntegrations, ReadIntegrations, UseIntegrations};

route!(LIST: GET "/v1/integrations/credentials", Some(ReadIntegrations), OK, Cheap, Page, [],
    "List the credentials", list);
route!(LIST_OF_PROVIDER: GET "/v1/integrations/{provider}/credentials", Some(ReadIntegrations), OK, Cheap, Page, [],
    "List the credentials of one provider", list_of_provider);
route!(CREATE: POST "/v1/integrations/{provider}/credentials", Some(ManageIntegrations), CREATED, Commit, Empty,
    [OF_PROVIDER, &[&NOT_GRANTED, &PROVIDER_NOT_FOUND, &KIND_NOT_SUPPORTED, &GRANT_REFUSED, &CLIENT_NOT_LENT], OF_STORING],
    "Store a credential", create);
route!(GET: GET "/v1/integrations/{provider}/credentials/{cred_id}", Some(ReadIntegrations), OK, Cheap,
    Empty, [OF_CREDENTIAL], "Get one credential with its times and status", get);
route!(UPDATE: PATCH "/v1/integrations/{provider}/credentials/{cred_id}", Some(ManageIntegrations), OK, Commit,
    Empty, [OF_CREDENTIAL, &[&KIND_NOT_SUPPORTED, &QUOTA_EXCEEDED]], "Change the title or the secret of a credential", update);
route!(DELETE: DELETE "/v1/integrations/{provider}/credentials/{cred_id}", Some(DeleteIntegrations), OK, Commit,
    Empty, [OF_CREDENTIAL], "Delete a credential, and revoke it", delete);
route!(REFRESH: POST "/v1/integrations/{provider}/credentials/{cred_id}/refresh", Some(ManageIntegrations), OK, Provider,
    Empty, [OF_CREDENTIAL, OF_PROVIDER, &[&NEEDS_REAUTH, &NOT_REFRESHABLE, &KIND_NOT_SUPPORTED]],
    "Refresh an access token now", refresh);
route!(TOKEN: GET "/v1/integrations/{provider}/credentials/{cred_id}/token", Some(UseIntegrations), OK, Commit,
    MinTtl, [OF_CREDENTIAL, OF_PROVIDER, &[&NEEDS_REAUTH, &SENDER_CONSTRAINED, &NOT_EXPORTABLE]],
    "Get the secret, refreshed first if needed", token);

async fn list(request: Authorized<Caller>) -> Result<JsonReply<Many<CredentialSummary>>, Problem> {
    let page = query::page(request.query())?;
    let list = request.app.broker.list(&request.caller, None, page).await?;
    let path = format!("{}/v1/integrations/credentials", request.app.settings.base_path);
    Ok(reply(&request, &list)?.next(next_page(&path, page, list.next_after)))
}

async fn list_of_provider(request: Authorized<Caller>) -> Result<JsonReply<Many<CredentialSummary>>, Problem> {
    let page = query::page(request.query())?;
    let provider = request.param(0);
    let list = request.app.broker.list(&request.caller, Some(provider), page).await?;
    let provider = utf8_percent_encode(provider, NON_ALPHANUMERIC);
    let path = format!("{}/v1/integrations/{provider}/credentials", request.app.settings.base_path);
    Ok(reply(&request, &list)?.next(next_page(&path, page, list.next_after)))
}

/// Leaves damaged credentials out; the header counts them and the log names them.
fn reply(request: &Authorized<Caller>, list: &CredentialList) -> Result<JsonReply<Many<CredentialSummary>>, Problem> {
    for error in &list.damaged {
        tracing::error!(
            %error,
            "a damaged credential is left out of a list: `strongroom vault repair` erases it"
        );
    }
    let body = request.app.body_budget.hold(|| request.caller.share_name(), list.json.clone())?;
    Ok(JsonReply::raw(body).damaged(list.damaged.len()))
}

async fn create(
    (mut request, body): (Authorized<Caller>, CreateBody),
) -> Result<JsonReply<One<CreateResponse>>, Problem> {
    request.acquire_provider(|_| body.sends())?;
    JsonReply::json(&request.app.broker.create(&request.caller, request.param(0), body.into()).await?)
}

async fn get(request: Authorized<Caller>) -> Result<JsonReply<One<CredentialDetail>>, Problem> {
    JsonReply::json(&request.app.broker.credential(&request.caller, request.param(0), request.param(1))?)
}

async fn update(
    (request, body): (Authorized<Caller>, UpdateBody),
) -> Result<JsonReply<One<CredentialDetail>>, Problem> {
    JsonReply::json(&request.app.broker.amend(&request.caller, request.param(0), request.param(1), body.into()).await?)
}

async fn delete(mut request: Authorized<Caller>) -> Result<JsonReply<One<DeleteResponse>>, Problem> {
    request.acquire_provider(|request| {
        request.app.broker.delete_sends(&request.caller, request.param(0), request.param(1))
    })?;
    JsonReply::json(&request.app.broker.delete(&request.caller, request.param(0), request.param(1)).await?)
}

async fn refresh(request: Authorized<Caller>) -> Result<JsonReply<One<CredentialDetail>>, Problem> {
    JsonReply::json(&request.app.broker.refresh(&request.caller, request.param(0), request.param(1)).await?)
}

async fn token(mut request: Authorized<Caller>) -> Result<JsonReply<One<SecretResponse<'static>>>, Problem> {
    let min_ttl = query::min_ttl(request.query())?;
    request.app.secret_rate.count(&request.caller.share_name(), &request.caller.user)?;
    request.acquire_provider(|request| {
        request.app.broker.token_sends(&request.caller, request.param(0), request.param(1), min_ttl)
    })?;
    let broker = &request.app.broker;
    let secret = broker.token(&request.caller, request.param(0), request.param(1), min_ttl).await?;
    JsonReply::secret(&SecretResponse::from(&secret))
}
