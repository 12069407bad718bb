//! The ceiling: bare warp with a JSON answer of 200 bytes, served by hyper without any limit, in a process of its own.

use std::io::Write as _;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use serde::Serialize;
use warp::Filter as _;

#[derive(Serialize)]
struct Body {
    id: &'static str,
    title: String,
    scopes: [&'static str; 4],
}

/// Serves until it is killed; its first line on stdout is its address.
pub fn run() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let mut out = std::io::stdout();
        writeln!(out, "{}", listener.local_addr().expect("an address")).expect("somebody listens");
        let route = warp::path("limit").map(|| {
            let scopes = ["profile", "email", "repository:read", "repository:write"];
            warp::reply::json(&Body { id: "0192d3f0-7c3a-7000-8000-00000000000f", title: "t".repeat(73), scopes })
        });
        let service = TowerToHyperService::new(warp::service(route));
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            stream.set_nodelay(true).unwrap_or_default();
            tokio::spawn(async move {
                let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                // A caller that hangs up is no news.
                served.await.unwrap_or_default();
            });
        }
    });
}
