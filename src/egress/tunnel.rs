//! The egress proxy: connections through an HTTP proxy of the operator, by CONNECT (RFC 9110 §9.3.6).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;
use zeroize::Zeroizing;

use super::error::{EgressSetupError, TunnelError};
use crate::secret::Secret;

/// Maximum size of the head of the proxy's answer, in bytes.
const MAX_HEAD: usize = 8 * 1024;

/// Maximum number of headers in it.
const MAX_HEADERS: usize = 64;

/// The advice for a URL that is not one of an egress proxy.
const ADVICE: &str = "write \"http://host:port\" or \"http://user@host:port\"";

/// An HTTP proxy through which connections leave. `Debug` shows no password.
#[derive(Clone)]
pub struct EgressProxy {
    host: String,
    port: u16,
    user: Option<String>,
    password: Option<Secret>,
    own: Option<(String, u16)>,
}

impl fmt::Debug for EgressProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EgressProxy").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl EgressProxy {
    /// Parses `http://[user[:password]@]host:port`.
    ///
    /// # Errors
    /// A message that repeats nothing of the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|_| format!("this is not a URL; {ADVICE}"))?;
        match url.scheme() {
            "http" => {}
            "https" => return Err(format!("TLS to the egress proxy is not supported; {ADVICE}")),
            _ => return Err(format!("only HTTP proxies are supported; {ADVICE}")),
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(format!("it has a path, a query or a fragment; {ADVICE}"));
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| format!("it has no host; {ADVICE}"))?;
        let plain = |text: &str| {
            let text = percent_encoding::percent_decode_str(text).decode_utf8().ok()?.into_owned();
            (!text.chars().any(char::is_control)).then_some(text)
        };
        let bad = || "the user or the password has a character that it cannot have".to_owned();
        let user = plain(url.username()).filter(|user| !user.contains(':')).ok_or_else(bad)?;
        let password = url.password().map(|password| plain(password).ok_or_else(bad)).transpose()?;
        if user.is_empty() && password.is_some() {
            return Err(format!("it has a password and no user; {ADVICE}"));
        }
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port_or_known_default().unwrap_or(80),
            user: (!user.is_empty()).then_some(user),
            password: password.map(Secret::new),
            own: None,
        })
    }

    /// Returns true if the URL names a user.
    pub fn has_user(&self) -> bool {
        self.user.is_some()
    }

    /// Returns true if the password is known.
    pub fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// Returns the proxy with this password.
    #[must_use]
    pub fn with_password(self, password: Secret) -> Self {
        Self { password: Some(password), ..self }
    }

    /// Returns the proxy, through which no request with a credential comes back to this server.
    #[must_use]
    pub fn not_to(self, host: &str, port: u16) -> Self {
        Self { own: Some((host.to_owned(), port)), ..self }
    }

    /// Returns true if this is the name under which others reach this server.
    pub(super) fn is_own(&self, host: &str, port: u16) -> bool {
        let bare = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
        self.own.as_ref().is_some_and(|(own, at)| *at == port && bare(own) == bare(host))
    }

    /// Returns the proxy for reqwest.
    pub(super) fn for_reqwest(&self) -> Result<reqwest::Proxy, EgressSetupError> {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let proxy = reqwest::Proxy::all(format!("http://{host}:{}", self.port));
        let proxy = proxy.map_err(|_| EgressSetupError::Client)?;
        let password = self.password.as_ref().map_or("", Secret::expose);
        Ok(self.user.iter().fold(proxy, |proxy, user| proxy.basic_auth(user, password)))
    }

    /// Opens a connection through the proxy to `authority` (`host:port`). Nothing of what the proxy
    /// says is kept but its status.
    pub(super) async fn connect(&self, authority: &str) -> Result<TcpStream, TunnelError> {
        let dialled = TcpStream::connect((self.host.as_str(), self.port)).await;
        let mut stream = dialled.map_err(|_| TunnelError::Unreachable)?;
        stream.set_nodelay(true).ok();
        stream.write_all(self.request(authority).as_bytes()).await.map_err(|_| TunnelError::Broken)?;
        match answer(&mut stream).await? {
            200..=299 => Ok(stream),
            status => Err(TunnelError::Status(status)),
        }
    }

    fn request(&self, authority: &str) -> Zeroizing<String> {
        let mut request = Zeroizing::new(String::with_capacity(1024));
        for part in ["CONNECT ", authority, " HTTP/1.1\r\nHost: ", authority, "\r\n"] {
            request.push_str(part);
        }
        if let Some(user) = &self.user {
            let password = self.password.as_ref().map_or("", Secret::expose);
            let pair = Zeroizing::new(format!("{user}:{password}"));
            request.push_str("Proxy-Authorization: Basic ");
            request.push_str(&Zeroizing::new(STANDARD.encode(pair.as_bytes())));
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        request
    }
}

/// Reads the head of the answer, and not one byte more: the rest belongs to the tunnel.
async fn answer(stream: &mut TcpStream) -> Result<u16, TunnelError> {
    let (mut head, mut buffer) = (Vec::new(), [0; 1024]);
    loop {
        let peeked = stream.peek(&mut buffer).await.map_err(|_| TunnelError::Broken)?;
        if peeked == 0 {
            return Err(TunnelError::Broken);
        }
        let before = head.len();
        head.extend_from_slice(&buffer[..peeked]);
        // The end may be split between two reads.
        let from = before.saturating_sub(3);
        let end = head[from..].windows(4).position(|end| end == b"\r\n\r\n").map(|at| from + at + 4);
        head.truncate(end.unwrap_or(head.len()));
        let taken = head.len() - before;
        stream.read_exact(&mut buffer[..taken]).await.map_err(|_| TunnelError::Broken)?;
        if head.len() > MAX_HEAD {
            return Err(TunnelError::Invalid);
        }
        if end.is_some() {
            break;
        }
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    response.parse(&head).ok().and(response.code).ok_or(TunnelError::Invalid)
}
