//! The handlers: each hands a checked request to its use case, and gives back what came of it.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::broker::{
    ClientMetadata, CompleteRequest, CompleteResponse, CreateResponse, CredentialDetail, CredentialList,
    CredentialSummary, DeleteResponse, DeviceInitiateRequest, DeviceInitiateResponse, DevicePoll, DevicePollRequest,
    InitiateRequest, InitiateResponse, ProviderInfo, PublishedKeys, WaitingRevocation,
};
use crate::http::app::App;
use crate::http::auth::{AdminCall, Call};
use crate::http::json::{Answer, Many, One};
use crate::http::problem::{self, Problem};
use crate::http::request::bodies::{CreateBody, UpdateBody};
use crate::http::request::json_body::NoBody;
use crate::http::request::query;
use crate::http::secret_response::{self, Live};
use crate::id::CredentialId;
use crate::vault::CredentialPage;

pub(crate) async fn providers(app: App, _: Call, _: NoBody) -> Result<Answer<Many<ProviderInfo>>, Problem> {
    Ok(Answer::raw(app.broker().providers()))
}

pub(crate) async fn initiate(
    app: App,
    call: Call,
    body: InitiateRequest,
) -> Result<Answer<One<InitiateResponse>>, Problem> {
    Answer::json(&app.broker().initiate(&call.caller, call.place(0), body).await?)
}

pub(crate) async fn complete(
    app: App,
    call: Call,
    body: CompleteRequest,
) -> Result<Answer<One<CompleteResponse>>, Problem> {
    Answer::json(&app.broker().complete(&call.caller, call.place(0), body).await?)
}

pub(crate) async fn device_initiate(
    app: App,
    call: Call,
    body: DeviceInitiateRequest,
) -> Result<Answer<One<DeviceInitiateResponse>>, Problem> {
    Answer::json(&app.broker().device_initiate(&call.caller, call.place(0), body).await?)
}

pub(crate) async fn device_poll(
    app: App,
    call: Call,
    body: DevicePollRequest,
) -> Result<Answer<One<DevicePoll>>, Problem> {
    Answer::json(&app.broker().device_poll(&call.caller, call.place(0), body).await?)
}

pub(crate) async fn create(app: App, call: Call, body: CreateBody) -> Result<Answer<One<CreateResponse>>, Problem> {
    Answer::json(&app.broker().create(&call.caller, call.place(0), body.into()).await?)
}

pub(crate) async fn delete(app: App, call: Call, _: NoBody) -> Result<Answer<One<DeleteResponse>>, Problem> {
    Answer::json(&app.broker().delete(&call.caller, call.place(0), call.place(1)).await?)
}

pub(crate) async fn credential(app: App, call: Call, _: NoBody) -> Result<Answer<One<CredentialDetail>>, Problem> {
    Answer::json(&app.broker().credential(&call.caller, call.place(0), call.place(1))?)
}

pub(crate) async fn amend(app: App, call: Call, body: UpdateBody) -> Result<Answer<One<CredentialDetail>>, Problem> {
    Answer::json(&app.broker().amend(&call.caller, call.place(0), call.place(1), body.into()).await?)
}

pub(crate) async fn refresh(app: App, call: Call, _: NoBody) -> Result<Answer<One<CredentialDetail>>, Problem> {
    Answer::json(&app.broker().refresh(&call.caller, call.place(0), call.place(1)).await?)
}

pub(crate) async fn token(app: App, call: Call, _: NoBody) -> Result<Answer<One<Live>>, Problem> {
    let min_ttl = query::min_ttl(call.head.query())?;
    let secret = app.broker().token(&call.caller, call.place(0), call.place(1), min_ttl).await?;
    Answer::secret(&secret_response::body(&secret))
}

pub(crate) async fn list(app: App, call: Call, _: NoBody) -> Result<Answer<Many<CredentialSummary>>, Problem> {
    let page = query::page(call.head.query())?;
    let list = app.broker().list(&call.caller, None, page)?;
    let path = format!("{}/v1/integrations/credentials", app.base_path());
    Ok(listed(&list).next(next(list.next_after, page, &path)))
}

pub(crate) async fn list_of_provider(
    app: App,
    call: Call,
    _: NoBody,
) -> Result<Answer<Many<CredentialSummary>>, Problem> {
    let page = query::page(call.head.query())?;
    let provider = call.place(0);
    let list = app.broker().list(&call.caller, Some(provider), page)?;
    let provider = utf8_percent_encode(provider, NON_ALPHANUMERIC);
    let path = format!("{}/v1/integrations/{provider}/credentials", app.base_path());
    Ok(listed(&list).next(next(list.next_after, page, &path)))
}

/// A list, without what is damaged, which the header counts and the log names.
fn listed(list: &CredentialList) -> Answer<Many<CredentialSummary>> {
    for error in &list.damaged {
        tracing::error!(%error, "a damaged credential is left out of a list: `strongroom credential remove ID --damaged` erases it");
    }
    Answer::raw(list.json.clone()).without(list.damaged.len())
}

/// Where a list goes on, if it does.
fn next(after: Option<CredentialId>, page: CredentialPage, path: &str) -> Option<String> {
    Some(format!("{path}?limit={}&after={}", page.limit?, after?))
}

/// Damaged revocations that one request names in the log; the header counts all of them.
const MOST_TOLD: usize = 10;

pub(crate) async fn revocations(app: App, call: AdminCall) -> Result<Answer<Many<WaitingRevocation>>, Problem> {
    let page = query::page(call.head.query())?;
    let list = app.broker().revocations(&call.administrator, page)?;
    for error in list.damaged.iter().take(MOST_TOLD) {
        tracing::error!(%error, "a damaged revocation is left out of the list: `strongroom vault repair` erases it; revoke it by hand");
    }
    let path = format!("{}/v1/revocations", app.base_path());
    let answer = Answer::json(&list.revocations)?.without(list.damaged.len());
    Ok(answer.next(next(list.next_after, page, &path)))
}

/// How the server is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `ok`: what is not is answered with another status.
    status: &'static str,
}

pub(crate) async fn healthz(_: App) -> Result<Answer<One<Health>>, Problem> {
    Answer::json(&Health { status: "ok" })
}

pub(crate) async fn readyz(app: App) -> Result<Answer<One<Health>>, Problem> {
    app.vault().writable().await?;
    Answer::json(&Health { status: "ok" })
}

pub(crate) async fn published_keys(app: App) -> Result<Answer<One<PublishedKeys>>, Problem> {
    Answer::json(&app.broker().published_keys())
}

pub(crate) async fn client_metadata(app: App) -> Result<Answer<One<ClientMetadata>>, Problem> {
    let absent = || {
        let detail =
            "There is no client-id metadata document: it needs an https server.public_url and oauth.redirect_uris.";
        Problem::new(&problem::NOT_FOUND, detail)
    };
    Answer::json(&app.broker().client_metadata().ok_or_else(absent)?)
}

/// An OpenAPI document.
#[derive(ToSchema)]
#[schema(value_type = Object)]
pub(crate) struct Description(());

pub(crate) async fn openapi(app: App) -> Result<Answer<One<Description>>, Problem> {
    Ok(Answer::raw(app.openapi()))
}
