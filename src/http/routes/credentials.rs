//! `/v1/integrations/…/credentials…`: stored credentials, and the live secrets of those who may use
//! them.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::route::{Authorized, route};
use crate::broker::{Caller, CreateResponse, CredentialDetail, CredentialList, CredentialSummary, DeleteResponse};
use crate::http::json::{JsonReply, Many, One, next_page};
use crate::http::problem::Problem;
use crate::http::request::bodies::{CreateBody, UpdateBody};
use crate::http::request::query;
use crate::http::secret_response::{self, SecretResponse};
use crate::permission::Permission::{DeleteIntegrations, ManageIntegrations, ReadIntegrations, UseIntegrations};

route!(LIST: GET "/v1/integrations/credentials", Some(ReadIntegrations), OK, Cheap, "List the credentials", list);
route!(LIST_OF_PROVIDER: GET "/v1/integrations/{provider}/credentials", Some(ReadIntegrations), OK, Cheap,
    "List the credentials of one provider", list_of_provider);
route!(CREATE: POST "/v1/integrations/{provider}/credentials", Some(ManageIntegrations), CREATED, Waiting,
    "Store a credential", create);
route!(GET: GET "/v1/integrations/{provider}/credentials/{cred_id}", Some(ReadIntegrations), OK, Cheap,
    "Get one credential with its times and status", get);
route!(UPDATE: PATCH "/v1/integrations/{provider}/credentials/{cred_id}", Some(ManageIntegrations), OK, Waiting,
    "Change the title or the secret of a credential", update);
route!(DELETE: DELETE "/v1/integrations/{provider}/credentials/{cred_id}", Some(DeleteIntegrations), OK, Waiting,
    "Delete a credential, and revoke it", delete);
route!(REFRESH: POST "/v1/integrations/{provider}/credentials/{cred_id}/refresh", Some(ManageIntegrations), OK, Waiting,
    "Refresh an access token now", refresh);
route!(TOKEN: GET "/v1/integrations/{provider}/credentials/{cred_id}/token", Some(UseIntegrations), OK, Waiting,
    "Get the secret, refreshed first if needed", token);

async fn list(request: Authorized<Caller>) -> Result<JsonReply<Many<CredentialSummary>>, Problem> {
    let page = query::page(request.query())?;
    let list = request.app.broker().list(&request.caller, None, page)?;
    let path = format!("{}/v1/integrations/credentials", request.app.base_path());
    Ok(reply(&list).next(next_page(&path, page, list.next_after)))
}

async fn list_of_provider(request: Authorized<Caller>) -> Result<JsonReply<Many<CredentialSummary>>, Problem> {
    let page = query::page(request.query())?;
    let provider = request.param(0);
    let list = request.app.broker().list(&request.caller, Some(provider), page)?;
    let provider = utf8_percent_encode(provider, NON_ALPHANUMERIC);
    let path = format!("{}/v1/integrations/{provider}/credentials", request.app.base_path());
    Ok(reply(&list).next(next_page(&path, page, list.next_after)))
}

/// Leaves damaged credentials out; the header counts them and the log names them.
fn reply(list: &CredentialList) -> JsonReply<Many<CredentialSummary>> {
    for error in &list.damaged {
        tracing::error!(
            %error,
            "a damaged credential is left out of a list: `strongroom vault repair` erases it"
        );
    }
    JsonReply::raw(list.json.clone()).damaged(list.damaged.len())
}

async fn create(request: Authorized<Caller>, body: CreateBody) -> Result<JsonReply<One<CreateResponse>>, Problem> {
    JsonReply::json(&request.app.broker().create(&request.caller, request.param(0), body.into()).await?)
}

async fn get(request: Authorized<Caller>) -> Result<JsonReply<One<CredentialDetail>>, Problem> {
    JsonReply::json(&request.app.broker().credential(&request.caller, request.param(0), request.param(1))?)
}

async fn update(request: Authorized<Caller>, body: UpdateBody) -> Result<JsonReply<One<CredentialDetail>>, Problem> {
    JsonReply::json(
        &request.app.broker().amend(&request.caller, request.param(0), request.param(1), body.into()).await?,
    )
}

async fn delete(request: Authorized<Caller>) -> Result<JsonReply<One<DeleteResponse>>, Problem> {
    JsonReply::json(&request.app.broker().delete(&request.caller, request.param(0), request.param(1)).await?)
}

async fn refresh(request: Authorized<Caller>) -> Result<JsonReply<One<CredentialDetail>>, Problem> {
    JsonReply::json(&request.app.broker().refresh(&request.caller, request.param(0), request.param(1)).await?)
}

async fn token(request: Authorized<Caller>) -> Result<JsonReply<One<SecretResponse>>, Problem> {
    let min_ttl = query::min_ttl(request.query())?;
    let broker = request.app.broker();
    let secret = broker.token(&request.caller, request.param(0), request.param(1), min_ttl).await?;
    JsonReply::secret(&secret_response::body(&secret))
}
