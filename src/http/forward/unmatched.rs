//! Requests to hosts to which no credential of the API key is bound: refused, or passed on without
//! a credential if the key says so.

use std::sync::Arc;

use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;

use super::sending::ForwardServer;
use crate::broker::{Authenticated, Caller};
use crate::egress::{self, BoxError};
use crate::http::auth::Authorize as _;
use crate::http::problem::Problem;
use crate::http::request::context::RequestHead;
use crate::http::server::request_body::RequestBody;
use crate::permission::Permission;
use crate::policy::Destination;
use crate::proxy::{StreamedBody, UnmatchedRequest};

impl ForwardServer {
    /// Opens a tunnel whose bytes pass unchanged.
    pub(super) async fn tunnel_on(
        self: Arc<Self>,
        request: Request<RequestBody>,
        destination: &Destination,
        (head, authenticated): (&RequestHead, &Authenticated),
    ) -> Result<Response<StreamedBody>, Problem> {
        let opening = async {
            let caller = Caller::authorize(authenticated, Permission::ProxyIntegrations, head)?;
            let share = caller.share_name();
            let asked = UnmatchedRequest { caller: &caller, share: &share, destination };
            let opening = self.proxy.pass_through().open_tunnel(asked);
            Ok(egress::on_behalf_of(egress::owner(&caller.user), opening).await?)
        };
        let tunnel = match Box::pin(opening).await {
            Ok(tunnel) => tunnel,
            Err(problem) => return Err(self.refused(problem, (destination, ""), (head, authenticated)).await),
        };
        let (upgrade, shared) = (hyper::upgrade::on(request), self.shared.clone());
        self.shared.tasks.spawn(async move {
            let passing = async {
                if let Ok(client) = upgrade.await {
                    tunnel.run(TokioIo::new(client), &shared.stop).await;
                }
            };
            shared.cut.run_until_cancelled(passing).await;
        });
        Ok(Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync()))
    }

    /// Sends a request in absolute form without a credential.
    pub(super) async fn pass_on(
        &self,
        request: Request<RequestBody>,
        (destination, target): (&Destination, &str),
        (head, authenticated): (&RequestHead, &Authenticated),
    ) -> Result<Response<StreamedBody>, Problem> {
        let request = request.map(|body| body.map_err(|error| -> BoxError { Box::new(error) }).boxed_unsync());
        let sending = async {
            let caller = Caller::authorize(authenticated, Permission::ProxyIntegrations, head)?;
            self.app.secret_rate.count(&caller.share_name(), &caller.user)?;
            let share = caller.share_name();
            let asked = UnmatchedRequest { caller: &caller, share: &share, destination };
            let sending = self.proxy.pass_through().send(asked, target, request);
            Ok(egress::on_behalf_of(egress::owner(&caller.user), sending).await?)
        };
        match Box::pin(sending).await {
            Ok(response) => Ok(response),
            Err(problem) => {
                let path = target.split('?').next().unwrap_or_default();
                Err(self.refused(problem, (destination, path), (head, authenticated)).await)
            }
        }
    }
}
