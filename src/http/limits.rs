//! Limits of the server: sizes, times and numbers.

use std::time::Duration;

/// Limits of one server. The defaults are those of the documentation; tests shorten the times.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a request line with its headers (431 beyond).
    pub header_bytes: usize,
    /// Time for the head of a request to arrive, counted from the end of the last response. It
    /// bounds idle keep-alive connections too.
    pub header_time: Duration,
    /// Bytes of a body, counted while it arrives (413 beyond).
    pub body_bytes: usize,
    /// Bytes of all bodies in memory at one time (503 beyond).
    pub body_memory: usize,
    /// Bytes of the bodies of one API key in memory at one time (429 beyond).
    pub body_memory_per_key: usize,
    /// Time for a whole body to arrive (408 beyond).
    pub body_time: Duration,
    /// Time that a write to the caller may stall.
    pub write_time: Duration,
    /// Time for a TLS handshake.
    pub handshake_time: Duration,
    /// Bytes of an unread body that are discarded before an early response is sent.
    pub discard_bytes: usize,
    /// Time spent on discarding them.
    pub discard_time: Duration,
    /// Time for which a connection that ends with an unread body goes on discarding it.
    pub linger_time: Duration,
    /// Time that an HTTP/2 connection may be without a stream.
    pub h2_idle_time: Duration,
    /// Connections at one time.
    pub connections: usize,
    /// Connections at one time from one address (one /64 network for IPv6). Unix sockets and
    /// trusted proxies are exempt.
    pub connections_per_address: usize,
    /// Time that a graceful stop waits for requests in progress.
    pub shutdown_grace: Duration,
    /// Minimum time between two checks of the TLS files for a change.
    pub tls_check: Duration,
    /// Wrong API keys that one address may present at once before it gets 429.
    pub failed_attempts_burst: u32,
    /// Wrong API keys a minute that are forgiven to one address.
    pub failed_attempts_per_minute: u32,
    /// Requests at one time that wait for the disk or for a provider (503 beyond).
    pub waiting: usize,
    /// Requests at one time that wait and name the same provider (503 beyond).
    pub waiting_per_provider: usize,
    /// Requests at one time that wait and present the same API key (429 beyond).
    pub waiting_per_key: usize,
    /// Requests at one time that an API key may send to providers (429 beyond).
    pub proxied_per_key: usize,
    /// Answers with a secret that an API key may get at once for one user (429 beyond).
    pub secrets_burst: u32,
    /// Answers with a secret a second of one API key for one user.
    pub secrets_per_second: u32,
    /// Answers with a secret a second of one API key for all its users.
    pub secrets_per_second_in_all: u32,
    /// `Retry-After` if the server, or an API key, waits for too much.
    pub retry_after: Duration,
    /// Time for the whole request of an MCP tool: clients give up after 60 s.
    pub mcp_time: Duration,
    /// Denied requests of one API key that get an audit row at once; more are counted in its next
    /// row.
    pub denials_burst: u32,
    /// Audit rows a minute for denied requests of one API key.
    pub denials_per_minute: u32,
}

impl Limits {
    /// Sets the number of connections; one address may hold a quarter of them.
    #[must_use]
    pub fn with_connections(self, connections: usize) -> Self {
        Self { connections, connections_per_address: (connections / 4).max(1), ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes: 16 * 1024,
            header_time: Duration::from_secs(30),
            body_bytes: 1024 * 1024,
            body_memory: 64 << 20,
            body_memory_per_key: 16 << 20,
            body_time: Duration::from_secs(15),
            write_time: Duration::from_secs(30),
            handshake_time: Duration::from_secs(10),
            discard_bytes: 4 * 1024 * 1024,
            discard_time: Duration::from_secs(1),
            linger_time: Duration::from_secs(5),
            h2_idle_time: Duration::from_secs(30),
            connections: 4096,
            connections_per_address: 1024,
            shutdown_grace: Duration::from_secs(20),
            tls_check: Duration::from_secs(1),
            failed_attempts_burst: 200,
            failed_attempts_per_minute: 60,
            waiting: 1024,
            waiting_per_provider: 768,
            waiting_per_key: 256,
            proxied_per_key: 256,
            secrets_burst: 1000,
            secrets_per_second: 100,
            secrets_per_second_in_all: 1000,
            retry_after: Duration::from_secs(1),
            mcp_time: Duration::from_secs(50),
            denials_burst: 20,
            denials_per_minute: 2,
        }
    }
}
