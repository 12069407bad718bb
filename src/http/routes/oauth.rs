//! `/v1/integrations/{provider}/oauth/…`: connecting an account, by browser or by device.

use super::route::{Authorized, route};
use crate::broker::{
    Caller, CompleteRequest, CompleteResponse, DeviceInitiateRequest, DeviceInitiateResponse, DevicePoll,
    DevicePollRequest, InitiateRequest, InitiateResponse,
};
use crate::http::json::{JsonReply, One};
use crate::http::problem::{
    ACCOUNT_MISMATCH, AUTHORIZATION_DENIED, CALLBACK_ORIGIN_NOT_ALLOWED, EXCHANGE_FAILED, GRANT_REFUSED, INVALID_STATE,
    NO_DEVICE_FLOW, NOT_GRANTED, OAUTH_NOT_SUPPORTED, OF_CREDENTIAL, OF_PROVIDER, OF_STORING, PROVIDER_NOT_FOUND,
    Problem, ProblemType, QUOTA_EXCEEDED, STATE_OF_CONNECT_FLOW,
};
use crate::permission::Permission::ManageIntegrations;

/// Problems of a request that finishes a login.
const OF_STATE: &[&ProblemType] =
    &[&NOT_GRANTED, &INVALID_STATE, &AUTHORIZATION_DENIED, &ACCOUNT_MISMATCH, &QUOTA_EXCEEDED];

route!(INITIATE: POST "/v1/integrations/{provider}/oauth/initiate", Some(ManageIntegrations), OK, Provider, Empty,
    [OF_PROVIDER, OF_CREDENTIAL, OF_STORING, &[&CALLBACK_ORIGIN_NOT_ALLOWED, &PROVIDER_NOT_FOUND, &OAUTH_NOT_SUPPORTED]],
    "Start connecting an account", initiate);
route!(COMPLETE: POST "/v1/integrations/{provider}/oauth/complete", Some(ManageIntegrations), OK, Provider, Empty,
    [OF_PROVIDER, OF_STATE, &[&STATE_OF_CONNECT_FLOW, &EXCHANGE_FAILED, &PROVIDER_NOT_FOUND, &OAUTH_NOT_SUPPORTED]],
    "Finish connecting an account", complete);
route!(DEVICE_INITIATE: POST "/v1/integrations/{provider}/oauth/device/initiate", Some(ManageIntegrations), OK,
    Provider, Empty,
    [OF_PROVIDER, OF_CREDENTIAL, OF_STORING, &[&NO_DEVICE_FLOW, &GRANT_REFUSED, &PROVIDER_NOT_FOUND, &OAUTH_NOT_SUPPORTED]],
    "Start connecting an account from another device", device_initiate);
route!(DEVICE_POLL: POST "/v1/integrations/{provider}/oauth/device/poll", Some(ManageIntegrations), OK, Provider, Empty,
    [OF_PROVIDER, OF_STATE, &[&GRANT_REFUSED]], "Ask if the user has decided", device_poll);

async fn initiate(
    (request, body): (Authorized<Caller>, InitiateRequest),
) -> Result<JsonReply<One<InitiateResponse>>, Problem> {
    JsonReply::json(&request.app.broker.initiate(&request.caller, request.param(0), body).await?)
}

async fn complete(
    (request, body): (Authorized<Caller>, CompleteRequest),
) -> Result<JsonReply<One<CompleteResponse>>, Problem> {
    // Boxed: the future of a whole exchange is large.
    let completed = Box::pin(request.app.broker.complete(&request.caller, request.param(0), body));
    JsonReply::json(&completed.await?)
}

async fn device_initiate(
    (request, body): (Authorized<Caller>, DeviceInitiateRequest),
) -> Result<JsonReply<One<DeviceInitiateResponse>>, Problem> {
    JsonReply::json(&request.app.broker.device_initiate(&request.caller, request.param(0), body).await?)
}

async fn device_poll(
    (request, body): (Authorized<Caller>, DevicePollRequest),
) -> Result<JsonReply<One<DevicePoll>>, Problem> {
    // Boxed: the future of a whole exchange is large.
    let polled = Box::pin(request.app.broker.device_poll(&request.caller, request.param(0), body));
    JsonReply::json(&polled.await?)
}
