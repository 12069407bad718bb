//! How much of anything the door takes before it says no: sizes, times, numbers of connections.

use std::time::Duration;

/// The limits of one server. The defaults are those of the documentation; tests shorten the times.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a request line with its headers (431 beyond).
    pub header_bytes: usize,
    /// From the first byte of a request (or from the connection's beginning) until its headers are whole.
    pub header_time: Duration,
    /// Bytes of a body, counted while they come in (413 beyond).
    pub body_bytes: usize,
    /// From the end of the headers until the body is whole (408 beyond).
    pub body_time: Duration,
    /// How long a kept connection may wait for its next request.
    pub idle_time: Duration,
    /// How long an answer may wait for the caller to take the next bytes of it.
    pub write_time: Duration,
    /// How long a TLS handshake may take.
    pub handshake_time: Duration,
    /// How long, after the last answer, bytes that nobody wants are still read, so that the answer is not lost to a reset.
    pub linger_time: Duration,
    /// Connections at one time.
    pub connections: usize,
    /// Connections at one time from one address (one /64 network for IPv6). Unix sockets and trusted proxies have no share.
    pub connections_per_address: usize,
    /// How long a graceful stop waits for answers under way.
    pub shutdown_grace: Duration,
    /// How often, at most, the TLS files are looked at for a change.
    pub tls_check: Duration,
    /// Wrong API keys that one address may present at once before it is answered 429.
    pub failed_attempts_burst: u32,
    /// Wrong API keys a minute that are forgiven to one address.
    pub failed_attempts_per_minute: u32,
    /// Requests at one time that wait for the disk or for a provider (503 beyond).
    pub waiting: usize,
    /// Of those, requests that name one and the same provider.
    pub waiting_at_one: usize,
    /// How long what could run may wait for the processor; where all wait longer, a part of them is refused (503).
    pub queue_time: Duration,
    /// When to come back, for who was refused so; on the same connection nothing but probes is answered before.
    pub come_back: Duration,
    /// Refusals of one API key that leave an audit row at once; more are counted in the next row.
    pub refusals_burst: u32,
    /// Refusals a minute that leave a row.
    pub refusals_per_minute: u32,
}

impl Limits {
    /// The defaults with another number of connections; one address may hold a quarter of them.
    #[must_use]
    pub fn with_connections(self, connections: usize) -> Self {
        Self { connections, connections_per_address: (connections / 4).max(1), ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes: 16 * 1024,
            header_time: Duration::from_secs(10),
            body_bytes: 1024 * 1024,
            body_time: Duration::from_secs(15),
            idle_time: Duration::from_secs(30),
            write_time: Duration::from_secs(30),
            handshake_time: Duration::from_secs(10),
            linger_time: Duration::from_secs(1),
            connections: 4096,
            connections_per_address: 1024,
            shutdown_grace: Duration::from_secs(20),
            tls_check: Duration::from_secs(1),
            failed_attempts_burst: 200,
            failed_attempts_per_minute: 60,
            waiting: 1024,
            waiting_at_one: 768,
            queue_time: Duration::from_millis(100),
            come_back: Duration::from_secs(1),
            refusals_burst: 20,
            refusals_per_minute: 2,
        }
    }
}
