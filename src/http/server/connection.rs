//! One connection: speaks HTTP/1.1 or HTTP/2 with hyper, within the limits of time and size.

use std::pin::pin;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

use super::linger::LingeringStream;
use super::service::RequestService;
use crate::http::limits::Limits;

/// Largest chunk, in bytes, that is read from a connection at once.
const READ_BUFFER: usize = 64 * 1024;

/// Streams that an HTTP/2 connection may have at one time.
const MAX_H2_STREAMS: u32 = 64;

/// A peer that does not answer an HTTP/2 ping is disconnected after these two times.
const H2_PING_INTERVAL: Duration = Duration::from_secs(20);
const H2_PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// Serves one connection until it ends, or until `stop` is cancelled and its requests are finished.
pub(crate) async fn serve<S>(
    stream: S,
    service: RequestService,
    protocol: Protocol,
    limits: &Limits,
    stop: &CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.write_time));
    let stream = Box::pin(stream);
    let ended = match protocol {
        Protocol::Http1 => {
            let stream = LingeringStream::new(stream, service.left_unread(), limits.linger_time);
            serve_http1(TokioIo::new(stream), service, limits, stop).await
        }
        Protocol::Http2 => Box::pin(serve_http2(TokioIo::new(stream), service, limits, stop)).await,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn serve_http1<I>(io: I, service: RequestService, limits: &Limits, stop: &CancellationToken) -> hyper::Result<()>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header_time)
            .max_header_size(limits.header_bytes)
            .max_buf_size(READ_BUFFER)
            .preserve_header_case(true)
            .serve_connection(io, service)
            .with_upgrades()
    );
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

async fn serve_http2<I>(io: I, service: RequestService, limits: &Limits, stop: &CancellationToken) -> hyper::Result<()>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let streams = service.requests();
    let header_bytes = u32::try_from(limits.header_bytes).unwrap_or(u32::MAX);
    let mut connection = pin!(
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_H2_STREAMS)
            .max_header_list_size(header_bytes)
            .keep_alive_interval(H2_PING_INTERVAL)
            .keep_alive_timeout(H2_PING_TIMEOUT)
            .serve_connection(io, service)
    );
    loop {
        let begun = streams.begun();
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = stop.cancelled() => break,
            () = tokio::time::sleep(limits.h2_idle_time) => {
                if begun == 0 && streams.begun() == 0 {
                    // Maybe not even the preface has arrived, and a graceful shutdown would wait
                    // for it.
                    return Ok(());
                }
                if streams.open() == 0 && streams.begun() == begun {
                    break;
                }
            }
        }
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}
