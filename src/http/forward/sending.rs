//! Sending from the forward proxy: requests in absolute form and those in tunnels go through the
//! pipeline of the proxy in one way.

use std::sync::Arc;

use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt as _;

use super::leaf::Leaves;
use super::selection::Selection;
use crate::broker::{Authenticated, Caller};
use crate::egress::BoxError;
use crate::http::app::App;
use crate::http::problem::{self, Problem};
use crate::http::proxy::{Asking, send};
use crate::http::request::context::{Outcome, RequestHead};
use crate::http::server::request_body::RequestBody;
use crate::http::server::service::Shared;
use crate::id::CredentialId;
use crate::policy::Destination;
use crate::proxy::{Proxy, ProxyRequest, StreamedBody};

/// Name of this entry point in the log and in the audit log.
pub(super) const PATTERN: &str = "(forward proxy)";

/// The forward proxy of a server.
pub(super) struct ForwardServer {
    pub(super) app: App,
    pub(super) proxy: Proxy,
    pub(super) shared: Arc<Shared>,
    pub(super) leaves: Leaves,
}

/// Returns the facts of a request for the log, before any is known.
pub(super) fn new_outcome() -> Outcome {
    Outcome { pattern: PATTERN, api_key: None, provider: None, cause: None }
}

impl ForwardServer {
    /// Sends a request with the credential that `select` returns.
    pub(super) async fn send(
        &self,
        request: Request<RequestBody>,
        (destination, target): (Destination, String),
        (head, authenticated): (&RequestHead, &Authenticated),
        select: impl FnOnce(&Caller, Selection<'_>) -> Result<CredentialId, Problem>,
        outcome: &mut Outcome,
    ) -> Result<Response<StreamedBody>, Problem> {
        let (mut parts, body) = request.into_parts();
        let prepare = |caller: &Caller| {
            // Each request leaves an audit row, as each answer with a secret does.
            self.app.secret_rate.count(&caller.share_name(), &caller.user)?;
            Ok(ProxyRequest {
                caller: caller.clone(),
                share: self.app.share_of(caller),
                credential: select(caller, Selection::of(&parts.headers)?)?,
                authority: Some(destination.authority()),
                scheme: Some(destination.scheme()),
                method: parts.method,
                target,
                headers: parts.headers,
                upgrade: parts.extensions.remove(),
                extensions: parts.extensions,
                body: body.map_err(|error: hyper::Error| -> BoxError { Box::new(error) }).boxed_unsync(),
            })
        };
        let asking = Asking { head, authenticated, pattern: PATTERN };
        send(&self.app, &self.proxy, asking, prepare, outcome).await
    }
}

/// Refuses a request whose `Host` is not the destination (RFC 9112 §3.2.2 would ignore it).
pub(super) fn require_host<B>(request: &Request<B>, destination: &Destination) -> Result<(), Problem> {
    let is_same = |host: &HeaderValue| host.to_str().is_ok_and(|host| destination.is_authority(host));
    if request.headers().get_all(http::header::HOST).iter().all(is_same) {
        return Ok(());
    }
    let detail = format!("The Host header is not {destination}.");
    Err(Problem::new(&problem::MISDIRECTED, detail))
}
