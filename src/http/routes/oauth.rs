//! `/v1/integrations/{provider}/oauth/…`: connecting an account, by browser or by device.

use super::route::{Authorized, route};
use crate::broker::{
    Caller, CompleteRequest, CompleteResponse, DeviceInitiateRequest, DeviceInitiateResponse, DevicePoll,
    DevicePollRequest, InitiateRequest, InitiateResponse,
};
use crate::http::json::{JsonReply, One};
use crate::http::problem::Problem;
use crate::permission::Permission::ManageIntegrations;

route!(INITIATE: POST "/v1/integrations/{provider}/oauth/initiate", Some(ManageIntegrations), OK, Waiting,
    "Start connecting an account", initiate);
route!(COMPLETE: POST "/v1/integrations/{provider}/oauth/complete", Some(ManageIntegrations), OK, Waiting,
    "Finish connecting an account", complete);
route!(DEVICE_INITIATE: POST "/v1/integrations/{provider}/oauth/device/initiate", Some(ManageIntegrations), OK,
    Waiting, "Start connecting an account from another device", device_initiate);
route!(DEVICE_POLL: POST "/v1/integrations/{provider}/oauth/device/poll", Some(ManageIntegrations), OK, Waiting,
    "Ask if the user has decided", device_poll);

async fn initiate(
    request: Authorized<Caller>,
    body: InitiateRequest,
) -> Result<JsonReply<One<InitiateResponse>>, Problem> {
    JsonReply::json(&request.app.broker().initiate(&request.caller, request.param(0), body).await?)
}

async fn complete(
    request: Authorized<Caller>,
    body: CompleteRequest,
) -> Result<JsonReply<One<CompleteResponse>>, Problem> {
    // Boxed: the future of a whole exchange is large.
    let completed = Box::pin(request.app.broker().complete(&request.caller, request.param(0), body));
    JsonReply::json(&completed.await?)
}

async fn device_initiate(
    request: Authorized<Caller>,
    body: DeviceInitiateRequest,
) -> Result<JsonReply<One<DeviceInitiateResponse>>, Problem> {
    JsonReply::json(&request.app.broker().device_initiate(&request.caller, request.param(0), body).await?)
}

async fn device_poll(
    request: Authorized<Caller>,
    body: DevicePollRequest,
) -> Result<JsonReply<One<DevicePoll>>, Problem> {
    // Boxed: the future of a whole exchange is large.
    let polled = Box::pin(request.app.broker().device_poll(&request.caller, request.param(0), body));
    JsonReply::json(&polled.await?)
}
