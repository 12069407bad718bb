//! Loopback listener for the callback of `strongroom connect` (RFC 8252 §7.3).
//!
//! Its pages load nothing, cannot be framed and send no referrer (RFC 9700 §4.2). The callback
//! answers with a redirect, so that the code does not stay in the browser's history. Other requests
//! to the port, and a second callback, change nothing.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{ALLOW, HOST, LOCATION};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::authorization_response::{AuthorizationResponse, CallbackParameters};
use super::callback_page::{self, LoginResult, refusal};
use crate::cli::output::note;
use crate::random::Random;
use crate::secret::Secret;

/// Time limit for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Maximum concurrent connections; a browser opens a few.
const MAX_CONNECTIONS: usize = 32;
/// Time that the browser has to fetch the last page after the login.
const LAST_PAGE: Duration = Duration::from_secs(3);
/// Time in which the login's own callback may follow a denial without `state`.
const AFTER_A_DENIAL: Duration = Duration::from_secs(5);

/// The login that the listener serves.
pub(in crate::cli) struct Login {
    /// Path of the redirect URI.
    pub(in crate::cli) callback_path: String,
    /// Authorization URL.
    pub(in crate::cli) authorization_url: String,
    /// State of the login.
    pub(in crate::cli) state: Secret,
}

/// The running listener. It stops when dropped.
pub(in crate::cli) struct Answering {
    /// One-time URL on this machine that redirects to the login. The browser is started with it,
    /// because process arguments are visible to every user of the machine and the login URL
    /// contains the state.
    pub(in crate::cli) start_url: String,
    callback: oneshot::Receiver<CallbackParameters>,
    denied: watch::Receiver<Option<CallbackParameters>>,
    outcome: watch::Sender<Option<LoginResult>>,
    shown: Arc<Notify>,
    accepting: JoinHandle<()>,
}

impl Answering {
    /// Starts to answer requests for this login on a loopback port.
    pub(in crate::cli) fn start(listener: TcpListener, login: Login) -> io::Result<Self> {
        let (bring, callback) = oneshot::channel();
        let (outcome, told) = watch::channel(None);
        let (deny, denied) = watch::channel(None);
        let shown = Arc::new(Notify::new());
        let unguessable = || URL_SAFE_NO_PAD.encode(Random.bytes::<16>());
        let state = LoginState {
            host: listener.local_addr()?.to_string(),
            start_path: format!("/start/{}", unguessable()),
            last_path: format!("/done/{}", unguessable()),
            login,
            started: AtomicBool::new(false),
            bring: Mutex::new(Some(bring)),
            deny,
            told,
        };
        let start_url = format!("http://{}{}", state.host, state.start_path);
        let accepting = tokio::spawn(accept(listener, Arc::new(state), Arc::clone(&shown)));
        Ok(Self { start_url, callback, denied, outcome, shown, accepting })
    }

    /// Waits for the callback. A denial without `state` counts if nothing follows it: the provider
    /// has ended the login, but any page can send one.
    pub(in crate::cli) async fn response(&mut self) -> AuthorizationResponse {
        let mut denied = self.denied.clone();
        let denial = async {
            let denial = denied.wait_for(Option::is_some).await.ok().and_then(|denial| denial.clone());
            tokio::time::sleep(AFTER_A_DENIAL).await;
            denial
        };
        tokio::select! {
            biased;
            Ok(parameters) = &mut self.callback => AuthorizationResponse::Callback(parameters),
            Some(parameters) = denial => AuthorizationResponse::Denial(parameters),
            else => std::future::pending().await,
        }
    }

    /// Shows the result in the browser, and waits until the browser has fetched it, or for
    /// `LAST_PAGE`.
    pub(in crate::cli) async fn end(self, outcome: LoginResult) {
        let shown = Arc::clone(&self.shown);
        let seen = shown.notified();
        self.outcome.send_replace(Some(outcome));
        // The browser may have been closed.
        let _ = tokio::time::timeout(LAST_PAGE, seen).await;
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// State shared by all connections.
struct LoginState {
    host: String,
    start_path: String,
    last_path: String,
    login: Login,
    started: AtomicBool,
    bring: Mutex<Option<oneshot::Sender<CallbackParameters>>>,
    deny: watch::Sender<Option<CallbackParameters>>,
    told: watch::Receiver<Option<LoginResult>>,
}

type Page = Response<Full<Bytes>>;

impl LoginState {
    async fn answer(&self, request: &Request<Incoming>) -> Page {
        // DNS rebinding: a foreign page whose name resolves to this machine sends its own host
        // name.
        if request.headers().get(HOST).and_then(|host| host.to_str().ok()) != Some(self.host.as_str()) {
            return refusal(StatusCode::MISDIRECTED_REQUEST, "This page is not available here.");
        }
        if request.method() != Method::GET {
            let mut page = refusal(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
            page.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            return page;
        }
        match request.uri().path() {
            path if path == self.login.callback_path => {
                self.callback(request.uri().query().unwrap_or_default(), request.headers())
            }
            path if path == self.start_path && !self.started.swap(true, Ordering::SeqCst) => {
                redirect(&self.login.authorization_url)
            }
            path if path == self.start_path => {
                refusal(StatusCode::GONE, "This link was already used. Open the login URL in the terminal.")
            }
            path if path == self.last_path => self.last_page().await,
            _ => refusal(StatusCode::NOT_FOUND, "Page not found."),
        }
    }

    /// Handles the redirect of the provider (RFC 6749 §4.1.2).
    fn callback(&self, query: &str, headers: &HeaderMap) -> Page {
        let parameters = match AuthorizationResponse::read(query, &self.login.state) {
            Ok(AuthorizationResponse::Callback(parameters)) => parameters,
            Ok(AuthorizationResponse::Denial(parameters)) if is_navigation(headers) => return self.denial(parameters),
            Ok(AuthorizationResponse::Denial(_)) => return Self::strange("It names no login."),
            Err(why) => return Self::strange(why),
        };
        let bring = self.bring.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let Some(bring) = bring else {
            return refusal(StatusCode::CONFLICT, "This login was already completed.");
        };
        // An error means that the command has just given up.
        let _ = bring.send(parameters);
        redirect(&self.last_path)
    }

    /// Handles a denial without `state`. The first one is kept.
    fn denial(&self, parameters: CallbackParameters) -> Page {
        self.deny.send_if_modified(|denial| {
            let is_first = denial.is_none();
            denial.get_or_insert(parameters);
            is_first
        });
        note("The provider denied the login. Waiting a few seconds for another callback …");
        let why = "The provider denied the login without naming it. If no other callback follows, the command in the terminal ends in a few seconds and shows the reason.";
        refusal(StatusCode::BAD_REQUEST, why)
    }

    /// Rejects a callback; the login still waits.
    fn strange(why: &str) -> Page {
        note(format!("Ignored a callback: {why}"));
        refusal(StatusCode::BAD_REQUEST, why)
    }

    /// Returns the result page as soon as the result is known.
    async fn last_page(&self) -> Page {
        let mut told = self.told.clone();
        match told.wait_for(Option::is_some).await {
            Ok(outcome) => callback_page::outcome(outcome.as_ref().expect("waited for")),
            Err(_) => refusal(StatusCode::GONE, "The command has ended."),
        }
    }
}

/// Returns true if the browser shows the response as a page of its own. A foreign page can load this
/// address unseen, for example as an image, but then the browser says so (Fetch Metadata, which
/// browsers send to loopback addresses too). Without the header, another program sent the request.
fn is_navigation(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-dest").is_some_and(|destination| destination == "document")
}

/// Redirects the browser with GET, which keeps the parameters out of its history.
fn redirect(to: &str) -> Page {
    let mut page = callback_page::empty(StatusCode::SEE_OTHER);
    let location = HeaderValue::from_str(to).expect("a URL that was parsed, or a path of ours, is printable ASCII");
    page.headers_mut().insert(LOCATION, location);
    page
}

/// Accepts connections until the task is aborted. Notifies `shown` after each last page.
async fn accept(listener: TcpListener, state: Arc<LoginState>, shown: Arc<Notify>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= MAX_CONNECTIONS || connections.try_join_next().is_some() {
            if connections.len() >= MAX_CONNECTIONS {
                connections.join_next().await;
            }
        }
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (state, shown) = (Arc::clone(&state), Arc::clone(&shown));
        connections.spawn(async move {
            let last = AtomicBool::new(false);
            let service = service_fn(|request: Request<Incoming>| {
                let (state, last) = (&state, &last);
                async move {
                    let page = state.answer(&request).await;
                    last.store(request.uri().path() == state.last_path && page.status().is_success(), Ordering::SeqCst);
                    Ok::<_, Infallible>(page)
                }
            });
            // One page per connection: the end of the connection then means that the page was sent.
            let _ = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if last.load(Ordering::SeqCst) {
                shown.notify_one();
            }
        });
    }
}
