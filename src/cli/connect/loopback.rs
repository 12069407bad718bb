//! The callback of a login that a command began: a listener on a loopback port, for as long as the login takes (RFC 8252
//! §7.3).
//!
//! Its pages load nothing, frame nowhere and tell nobody where they were (RFC 9700 §4.2). The callback itself shows
//! nothing: it answers with a redirect to another page, so that the code does not stay in the browser's history. Whatever
//! else comes to the port, from a page that guesses it or a second callback, changes nothing.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{ALLOW, HOST, LOCATION};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::callback_page;
use super::callback_page::Outcome;
use crate::cli::output::note;
use crate::random::Random;
use crate::secret::Secret;

/// How long the browser may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How many connections are served at once; a browser opens a few.
const MAX_CONNECTIONS: usize = 32;
/// How long the command stays after the end so that the browser can fetch the last page.
const LAST_PAGE: Duration = Duration::from_secs(3);

/// A bound port that does not answer yet.
pub(in crate::cli) struct Loopback {
    listener: TcpListener,
    address: SocketAddr,
}

/// The login that the listener is for.
pub(in crate::cli) struct Login {
    /// The path of the redirect URI.
    pub(in crate::cli) callback_path: String,
    /// The authorization URL.
    pub(in crate::cli) authorization_url: String,
    /// Its state.
    pub(in crate::cli) state: Secret,
}

/// What the browser brought: every query parameter but `state`.
pub(in crate::cli) type Parameters = BTreeMap<String, Secret>;

/// The listener, answering. Dropped, it is gone.
pub(in crate::cli) struct Answering {
    /// A URL on this machine that leads to the login, once: what a browser is started with, for the list of processes shows
    /// its arguments to everybody here, and the login URL has the state in it.
    pub(in crate::cli) start_url: String,
    callback: oneshot::Receiver<Parameters>,
    outcome: watch::Sender<Option<Outcome>>,
    shown: Arc<Notify>,
    accepting: JoinHandle<()>,
}

impl Loopback {
    /// Binds the port on 127.0.0.1; 0 is any free one.
    pub(in crate::cli) async fn bind(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where it is.
    pub(in crate::cli) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Begins to answer, for this one login.
    pub(in crate::cli) fn answer(self, login: Login, random: Random) -> Answering {
        let (bring, callback) = oneshot::channel();
        let (outcome, told) = watch::channel(None);
        let shown = Arc::new(Notify::new());
        let unguessable = || URL_SAFE_NO_PAD.encode(random.bytes::<16>());
        let desk = Desk {
            host: self.address.to_string(),
            start_path: format!("/start/{}", unguessable()),
            last_path: format!("/done/{}", unguessable()),
            login,
            started: AtomicBool::new(false),
            bring: Mutex::new(Some(bring)),
            told,
            random,
        };
        let start_url = format!("http://{}{}", self.address, desk.start_path);
        let accepting = tokio::spawn(accept(self.listener, Arc::new(desk), Arc::clone(&shown)));
        Answering { start_url, callback, outcome, shown, accepting }
    }
}

impl Answering {
    /// What the browser brings back to the login; never resolves if it does not.
    pub(in crate::cli) async fn callback(&mut self) -> Parameters {
        match (&mut self.callback).await {
            Ok(parameters) => parameters,
            Err(_) => std::future::pending().await,
        }
    }

    /// Shows the browser how it ended, and waits a little until it has seen that.
    pub(in crate::cli) async fn end(self, outcome: Outcome) {
        let shown = Arc::clone(&self.shown);
        let seen = shown.notified();
        self.outcome.send_replace(Some(outcome));
        // A browser that was closed meanwhile keeps nobody.
        let _ = tokio::time::timeout(LAST_PAGE, seen).await;
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// What all connections share.
struct Desk {
    host: String,
    start_path: String,
    last_path: String,
    login: Login,
    started: AtomicBool,
    bring: Mutex<Option<oneshot::Sender<Parameters>>>,
    told: watch::Receiver<Option<Outcome>>,
    random: Random,
}

type Page = Response<Full<Bytes>>;

impl Desk {
    async fn answer(&self, request: &Request<Incoming>) -> Page {
        // A page elsewhere whose name was made to resolve to this machine sends its own name.
        if request.headers().get(HOST).and_then(|host| host.to_str().ok()) != Some(self.host.as_str()) {
            return self.refusal(StatusCode::MISDIRECTED_REQUEST, "This is no page for visitors.");
        }
        if request.method() != Method::GET {
            let mut page = self.refusal(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
            page.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            return page;
        }
        match request.uri().path() {
            path if path == self.login.callback_path => self.callback(request.uri().query().unwrap_or_default()),
            path if path == self.start_path && !self.started.swap(true, Ordering::SeqCst) => {
                redirect(&self.login.authorization_url)
            }
            path if path == self.start_path => self
                .refusal(StatusCode::GONE, "This link was used already. Open the login URL that the terminal shows."),
            path if path == self.last_path => self.last_page().await,
            _ => self.refusal(StatusCode::NOT_FOUND, "There is no such page."),
        }
    }

    /// The provider sends the browser here (RFC 6749 §4.1.2).
    fn callback(&self, query: &str) -> Page {
        let mut parameters = Parameters::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if parameters.insert(name.into_owned(), Secret::new(value)).is_some() {
                return self.strange("A parameter came twice (RFC 6749 §3.1).");
            }
        }
        match parameters.remove("state") {
            Some(state) if self.login.state.equals(state.expose()) => {}
            _ => return self.strange("This answer does not belong to the login that the terminal waits for."),
        }
        let bring = self.bring.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        let Some(bring) = bring else {
            return self.refusal(StatusCode::CONFLICT, "This login was answered already; it works once.");
        };
        // An error means that the command has just given up, and the last page will say nothing: so be it.
        let _ = bring.send(parameters);
        redirect(&self.last_path)
    }

    /// A callback that changes nothing.
    fn strange(&self, why: &str) -> Page {
        note(format!("Ignored a callback. {why}"));
        self.refusal(StatusCode::BAD_REQUEST, why)
    }

    /// How it ended, as soon as that is known.
    async fn last_page(&self) -> Page {
        let mut told = self.told.clone();
        match told.wait_for(Option::is_some).await {
            Ok(outcome) => callback_page::outcome(outcome.as_ref().expect("waited for"), self.random),
            Err(_) => self.refusal(StatusCode::GONE, "The command has ended."),
        }
    }

    fn refusal(&self, status: StatusCode, why: &str) -> Page {
        callback_page::refusal(status, why, self.random)
    }
}

/// Sends the browser on with GET, so that what it came with leaves its history.
fn redirect(to: &str) -> Page {
    let mut page = callback_page::empty(StatusCode::SEE_OTHER);
    let location = HeaderValue::from_str(to).expect("a URL that was parsed, or a path of ours, is printable ASCII");
    page.headers_mut().insert(LOCATION, location);
    page
}

/// Accepts connections until it is aborted; `shown` hears of every last page that has left.
async fn accept(listener: TcpListener, desk: Arc<Desk>, shown: Arc<Notify>) {
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
        let (desk, shown) = (Arc::clone(&desk), Arc::clone(&shown));
        connections.spawn(async move {
            let last = AtomicBool::new(false);
            let service = service_fn(|request: Request<Incoming>| {
                let (desk, last) = (&desk, &last);
                async move {
                    let page = desk.answer(&request).await;
                    last.store(request.uri().path() == desk.last_path && page.status().is_success(), Ordering::SeqCst);
                    Ok::<_, Infallible>(page)
                }
            });
            // One page a connection, so that its end says that the page was handed over.
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
