//! The forward proxy: CONNECT, and requests in absolute form, on a listener of its own. Every
//! request goes through the pipeline of the proxy. A host to which no credential is bound is
//! refused, or passed on without a credential if the API key says so.

mod authentication;
mod leaf;
mod selection;
mod sending;
mod tunnel;
mod unmatched;

use std::sync::{Arc, OnceLock};

use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Empty};

use self::authentication::Presented;
use self::leaf::Leaves;
use self::selection::Selection;
use self::sending::{ForwardServer, PATTERN, new_outcome, require_host};
use self::tunnel::Tunnel;
use super::app::App;
use super::auth::Authorize as _;
use super::problem::{self, Problem};
use super::proxy::{Asking, answer_with, refused_with_row};
use super::request::context::{Outcome, RequestContext, RequestHead};
use super::server::request_body::RequestBody;
use super::server::service::{DirectApi, Shared};
use crate::broker::{Authenticated, BoundCredential, Caller, ProxiedRequest};
use crate::permission::Permission;
use crate::policy::{Destination, DestinationError, Scheme};
use crate::proxy::{RefusedRequest, StreamedBody};

/// Returns a function that makes the service of the forward proxy.
pub(crate) fn api(app: App) -> Box<dyn FnOnce(Arc<Shared>) -> DirectApi + Send> {
    Box::new(move |shared| {
        let proxy = app.proxy.clone();
        let leaves = Leaves::new(shared.random);
        let forward = Arc::new(ForwardServer { app, proxy, shared, leaves });
        Box::new(move |request, context| {
            let forward = forward.clone();
            Box::pin(async move {
                let mut outcome = new_outcome();
                let answered = forward.answer(request, context, &mut outcome).await;
                answer_with(answered, outcome)
            })
        })
    })
}

impl ForwardServer {
    async fn answer(
        self: Arc<Self>,
        mut request: Request<RequestBody>,
        context: RequestContext,
        outcome: &mut Outcome,
    ) -> Result<Response<StreamedBody>, Problem> {
        if request.method() != Method::CONNECT && request.uri().scheme().is_none() {
            let detail =
                "A request to the forward proxy names the whole URL, or is a CONNECT. The API has another address.";
            return Err(Problem::new(&problem::NOT_A_PROXY_REQUEST, detail));
        }
        let presented = Presented::take(request.headers_mut());
        let (head, authenticated) = presented.authenticate(&self.app, request.method(), context).await?;
        outcome.api_key = authenticated.api_key();
        if request.method() == Method::CONNECT {
            return self.connect(request, presented, (&head, &authenticated)).await;
        }
        let (destination, target) = Destination::parse_absolute(&request.uri().to_string()).map_err(unclear)?;
        require_host(&request, &destination)?;
        let [bound] = self.bound([&destination], (&head, &authenticated)).await?;
        // A request that names a credential is not meant to go without one.
        if bound.is_empty() && !Selection::is_named(request.headers()) {
            return self.pass_on(request, (&destination, &target), (&head, &authenticated)).await;
        }
        let select = |_: &Caller, selection: Selection<'_>| selection.choose(&bound, &destination, &target);
        let place = (destination.clone(), target.clone());
        self.send(request, place, (&head, &authenticated), select, outcome).await
    }

    /// Opens a tunnel. If a credential is bound to its destination, its requests go through the pipeline.
    async fn connect(
        self: Arc<Self>,
        request: Request<RequestBody>,
        presented: Presented,
        (head, authenticated): (&RequestHead, &Authenticated),
    ) -> Result<Response<StreamedBody>, Problem> {
        // The whole target: a URL is not a destination of CONNECT.
        let destination = Destination::parse_connect(&request.uri().to_string()).map_err(unclear)?;
        // The default port that a client leaves out of `Host` is that of the scheme in the tunnel.
        let plain = destination.clone().with_scheme(Scheme::Http);
        require_host(&request, &destination).or_else(|_| require_host(&request, &plain))?;
        let [https, http] = self.bound([&destination, &plain], (head, authenticated)).await?;
        if https.is_empty() && http.is_empty() {
            return self.tunnel_on(request, &destination, (head, authenticated)).await;
        }
        let tunnel = Tunnel { destination, presented, https, http, context: head.context, selected: OnceLock::new() };
        let upgrade = hyper::upgrade::on(request);
        let shared = self.shared.clone();
        shared.clone().tasks.spawn(async move {
            let serving = async {
                if let Ok(io) = upgrade.await {
                    tunnel.serve(self, io).await;
                }
            };
            shared.cut.run_until_cancelled(serving).await;
        });
        Ok(Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync()))
    }

    /// Returns the credentials for each of these readings of a destination. A refusal leaves an audit
    /// row.
    async fn bound<const N: usize>(
        &self,
        destinations: [&Destination; N],
        (head, authenticated): (&RequestHead, &Authenticated),
    ) -> Result<[Vec<BoundCredential>; N], Problem> {
        let admit = async {
            let caller = Caller::authorize(authenticated, Permission::ProxyIntegrations, head)?;
            if head.method == Method::CONNECT {
                // A tunnel costs a look at all credentials, as a request does, which counts itself.
                self.app.secret_rate.count(&caller.share_name(), &caller.user)?;
            }
            Ok(self.app.broker.credentials_for(&caller, destinations).await?)
        };
        match admit.await {
            Ok(bound) => Ok(bound),
            Err(problem) => Err(self.refused(problem, (destinations[0], ""), (head, authenticated)).await),
        }
    }

    /// Writes the audit row of a refusal, and returns its problem.
    async fn refused(
        &self,
        problem: Problem,
        (destination, path): (&Destination, &str),
        (head, authenticated): (&RequestHead, &Authenticated),
    ) -> Problem {
        let asking = Asking { head, authenticated, pattern: PATTERN };
        let (method, host, path) = (head.method.to_string(), destination.authority(), path.to_owned());
        let proxied = Some(ProxiedRequest { method, host, path, grant: None, approval: None });
        let refused = RefusedRequest { proxied, ..RefusedRequest::default() };
        refused_with_row(&self.app, asking, problem, refused).await
    }
}

fn unclear(error: DestinationError) -> Problem {
    let detail = error.to_string();
    Problem::new(&problem::NOT_A_PROXY_REQUEST, detail)
}
