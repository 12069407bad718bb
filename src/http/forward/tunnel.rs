//! A tunnel of CONNECT to a host with credentials: the connection inside of it ends here, and each
//! of its requests goes through the pipeline.

use std::io::Cursor;
use std::sync::{Arc, OnceLock};

use http::{Request, Response, Version};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio_rustls::LazyConfigAcceptor;

use super::authentication::Presented;
use super::leaf;
use super::selection::Selection;
use super::sending::{ForwardServer, new_outcome, require_host};
use crate::broker::BoundCredential;
use crate::http::problem::{self, Problem};
use crate::http::proxy::answer_with;
use crate::http::request::context::{Outcome, RequestContext};
use crate::http::server::connection::{Protocol, serve};
use crate::http::server::request_body::RequestBody;
use crate::http::server::service::{RequestService, Services};
use crate::id::CredentialId;
use crate::policy::{Destination, Scheme};
use crate::proxy::StreamedBody;

/// First byte of a TLS record with a ClientHello.
const TLS_HANDSHAKE: u8 = 0x16;

/// A tunnel.
pub(super) struct Tunnel {
    /// Its destination, by https.
    pub(super) destination: Destination,
    /// Authentication of the CONNECT. It is checked again for each request.
    pub(super) presented: Presented,
    /// Credentials for the destination by https.
    pub(super) https: Vec<BoundCredential>,
    /// Credentials for the destination by http.
    pub(super) http: Vec<BoundCredential>,
    /// The CONNECT.
    pub(super) context: RequestContext,
    /// The credential of the first request: all others of this tunnel must have it too.
    pub(super) selected: OnceLock<CredentialId>,
}

impl Tunnel {
    /// Serves the connection inside of the tunnel: TLS, or plain HTTP as some clients speak it after
    /// a CONNECT to port 80.
    pub(super) async fn serve(mut self, forward: Arc<ForwardServer>, io: Upgraded) {
        let mut io = TokioIo::new(io);
        let mut first = [0];
        let reading = tokio::time::timeout(forward.shared.limits.handshake_time, io.read_exact(&mut first));
        if !matches!(reading.await, Ok(Ok(_))) {
            return;
        }
        let (read, write) = tokio::io::split(io);
        let io = tokio::io::join(Cursor::new(first).chain(read), write);
        if first[0] == TLS_HANDSHAKE {
            return Box::pin(self.serve_tls(forward, io)).await;
        }
        self.destination = self.destination.with_scheme(Scheme::Http);
        Box::pin(self.serve_requests(forward, io, Protocol::Http1)).await;
    }

    /// Ends the TLS of the client with a certificate for the destination. A client that asks for
    /// another server name gets an alert, and so does one to whose https no credential is bound.
    async fn serve_tls<S>(self, forward: Arc<ForwardServer>, io: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handshake = async {
            let start = LazyConfigAcceptor::new(Acceptor::default(), io).await.ok()?;
            let is_meant = {
                let hello = start.client_hello();
                hello.server_name().is_none_or(|name| self.destination.is_server_name(name))
            };
            let leaf = if is_meant && !self.https.is_empty() {
                let broker = &forward.app.broker;
                match broker.proxy_ca().await {
                    Ok(ca) => forward.leaves.config(self.destination.host(), &ca, broker.clock().now()),
                    Err(error) => {
                        tracing::error!(%error, "the proxy has no certification authority");
                        None
                    }
                }
            } else {
                None
            };
            start.into_stream(leaf.unwrap_or_else(leaf::refusing)).await.ok()
        };
        let Ok(Some(stream)) = tokio::time::timeout(forward.shared.limits.handshake_time, handshake).await else {
            return;
        };
        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let protocol = if is_h2 { Protocol::Http2 } else { Protocol::Http1 };
        self.serve_requests(forward, stream, protocol).await;
    }

    async fn serve_requests<S>(self, forward: Arc<ForwardServer>, io: S, protocol: Protocol)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (shared, peer) = (forward.shared.clone(), self.context.address);
        let tunnel = Arc::new(self);
        let services = Services::Forward(Box::new(move |request, context| {
            let (tunnel, forward) = (tunnel.clone(), forward.clone());
            Box::pin(async move {
                let mut outcome = new_outcome();
                let answered = tunnel.answer(&forward, request, context, &mut outcome).await;
                answer_with(answered, outcome)
            })
        }));
        let service = RequestService::new(shared.clone(), Arc::new(services), peer, false);
        serve(io, service, protocol, &shared.limits, &shared.stop).await;
    }

    async fn answer(
        &self,
        forward: &ForwardServer,
        request: Request<RequestBody>,
        context: RequestContext,
        outcome: &mut Outcome,
    ) -> Result<Response<StreamedBody>, Problem> {
        self.require_place(&request)?;
        let (head, authenticated) = self.presented.authenticate_again(&forward.app, request.method(), context).await?;
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let bound = if self.destination.scheme() == Scheme::Https { &self.https } else { &self.http };
        let place = (self.destination.clone(), target.clone());
        let select = |_: &_, selection: Selection<'_>| {
            let chosen = selection.choose(bound, &self.destination, &target)?;
            if *self.selected.get_or_init(|| chosen) == chosen {
                return Ok(chosen);
            }
            let detail = "This tunnel is used with another credential: open another one for this request.";
            Err(Problem::new(&problem::MISDIRECTED, detail))
        };
        forward.send(request, place, (&head, &authenticated), select, outcome).await
    }

    /// Refuses a request that is for another place than the tunnel.
    fn require_place<B>(&self, request: &Request<B>) -> Result<(), Problem> {
        let uri = request.uri();
        let scheme = uri.scheme_str().is_none_or(|scheme| scheme == self.destination.scheme().name());
        let authority = uri.authority().is_none_or(|authority| self.destination.is_authority(authority.as_str()));
        // HTTP/2 has `:authority` in the place of `Host`.
        let is_named = request.version() == Version::HTTP_2 || request.headers().contains_key(http::header::HOST);
        if scheme && authority && is_named {
            return require_host(request, &self.destination);
        }
        let detail = format!("This tunnel is for {}, and the request is not.", self.destination);
        Err(Problem::new(&problem::MISDIRECTED, detail))
    }
}
