//! One key that takes what it can get, beside one of another user: the default limits keep the second one served.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::client::Client;
use super::installation::Provider;
use super::prepare::{Stage, on_a_runtime};
use super::report::Report;
use super::waits::Waits;

/// Duration of one kind of abuse.
const TIME: Duration = Duration::from_secs(6);

/// Pause of the good callers, below the default rate of secrets.
const PAUSE: Duration = Duration::from_millis(20);

/// Longest 99th percentile of the good key, in milliseconds.
const P99: f64 = 100.0;

/// Most resident memory of the server, in MB.
const MEMORY: f64 = 200.0;

/// One kind of abuse: connections that each send these requests in turn, for as long as it lasts.
struct Abuse {
    name: &'static str,
    connections: usize,
    requests: Vec<Vec<u8>>,
    /// The last byte of each request is never sent.
    held: bool,
}

pub fn measure(report: &mut Report) {
    let provider = Provider::start();
    let stage = Stage::with_default_limits(&provider, 1_000, 1);
    let (servers, _runtime) = hostile_servers();
    Report::title("abuse: one key does each of these for 6 s; a good key lists, creates and reads a secret beside it");
    let alone = Waits::during(&stage, PAUSE, || std::thread::sleep(TIME));
    report.at_most("the good key alone: p99", alone.p99, "ms", None);
    for abuse in kinds(&stage, servers) {
        let mut answers = BTreeMap::new();
        let waits = Waits::during(&stage, PAUSE, || answers = abuse.run(stage.address()));
        report.at_most(&format!("{}: p99 of the good key", abuse.name), waits.p99, "ms", Some(P99));
        report.at_most(&format!("  its longest wait, of {}", waits.count), waits.longest, "ms", None);
        for (status, count) in answers {
            report.at_most(&format!("  answers {status} to the abuse"), f64::from(count), "", None);
        }
    }
    report.at_most("resident under all of it, at its most", stage.server.memory("VmHWM"), "MB", Some(MEMORY));
    let size = std::fs::metadata(stage.installation.path("strongroom.db")).expect("the vault").len();
    report.at_most("the vault's file after it", size as f64 / f64::from(1 << 20), "MB", None);
}

fn kinds(stage: &Stage, servers: SocketAddr) -> Vec<Abuse> {
    let key = stage.installation.key(&["--user", "mallory"]);
    let initiate = |provider: &str, body: &Value| Stage::post(&key, &format!("/{provider}/oauth/initiate"), body);
    let callback = "http://localhost:3000/callback";
    let of_server = |url: &str| initiate("mcp", &json!({"callback_url": callback, "inputs": {"server_url": url}}));
    let create = |bytes: usize| {
        let body = json!({"type": "api_key", "api_key": "s".repeat(bytes), "title": "t".repeat(1024)});
        Stage::post(&key, "/openai/credentials", &body)
    };
    let faults = json!({"callback_url": callback, "scopes": vec![0; 500_000]});
    let metadata = json!({"callback_url": callback, "state_metadata": {"m": "m".repeat(16_000)}});
    let body = json!({"callback_url": callback, "state_metadata": {"m": "m".repeat(1 << 20)}});
    let servers_of = |path: &str, count: usize| -> Vec<Vec<u8>> {
        (0..count).map(|number| of_server(&format!("http://{servers}/{path}/{number}"))).collect()
    };
    let unresolved = (0..700).map(|number| of_server(&format!("https://n{number}.strongroom.invalid/"))).collect();
    let small = Stage::get(&key, "/credentials?limit=1");
    let of = |name, connections, requests| Abuse { name, connections, requests, held: false };
    vec![
        of("a body of 1 MiB with 500,000 faults", 32, vec![initiate("sandbox", &faults)]),
        of("logins with 16 KB of metadata", 64, vec![initiate("sandbox", &metadata)]),
        of("creates of 64 KiB", 64, vec![create(65_536)]),
        of("creates of one byte", 64, vec![create(1)]),
        of("lists without a limit", 64, vec![Stage::get(&key, "/credentials")]),
        Abuse { held: true, ..of("400 bodies of 1 MiB under way", 400, vec![initiate("sandbox", &body)]) },
        of("780 logins at servers that never answer", 780, servers_of("hang", 780)),
        of("700 names that do not resolve", 700, unresolved),
        of("100 servers with 64 KB of metadata", 64, servers_of("large", 100)),
        of("reads as fast as they are answered", 256, vec![small]),
    ]
}

impl Abuse {
    /// Numbers of answers by status; 0 stands for none.
    fn run(&self, address: SocketAddr) -> BTreeMap<u16, u32> {
        let answers = Arc::new(Mutex::new(BTreeMap::new()));
        let requests = Arc::new(self.requests.clone());
        on_a_runtime(async {
            let until = tokio::time::Instant::now() + TIME;
            let tasks: Vec<_> = (0..self.connections)
                .map(|number| {
                    let work = send(address, number, requests.clone(), self.held, answers.clone());
                    tokio::spawn(tokio::time::timeout_at(until, work))
                })
                .collect();
            for task in tasks {
                let _ = task.await.expect("no task panics");
            }
        });
        let answers = answers.lock().expect("no holder panics");
        answers.clone()
    }
}

/// Sends requests on one connection after the other, until it is dropped.
async fn send(
    address: SocketAddr,
    mut next: usize,
    requests: Arc<Vec<Vec<u8>>>,
    held: bool,
    answers: Arc<Mutex<BTreeMap<u16, u32>>>,
) {
    let count = |status| *answers.lock().expect("no holder panics").entry(status).or_default() += 1;
    loop {
        let Ok(mut client) = Client::connect(address).await else {
            count(0);
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        loop {
            let request = &requests[next % requests.len()];
            let sent = if held { &request[..request.len() - 1] } else { request };
            next += 1;
            let Ok(reply) = client.ask(sent).await else {
                count(0);
                break;
            };
            count(reply.status);
            // The rest of a body that was answered early would be read as the next request.
            if held || reply.header("connection") == Some("close") {
                break;
            }
        }
    }
}

/// MCP servers that never answer (`/hang/N`), and that answer with metadata as large as they may be.
fn hostile_servers() -> (SocketAddr, tokio::runtime::Runtime) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
    let address = listener.local_addr().expect("an address");
    runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, address));
        }
    });
    (address, runtime)
}

async fn answer(mut stream: TcpStream, address: SocketAddr) -> std::io::Result<()> {
    let mut head = vec![0; 16 * 1024];
    loop {
        let read = stream.read(&mut head).await?;
        let text = String::from_utf8_lossy(&head[..read]).into_owned();
        let path = text.split(' ').nth(1).unwrap_or_default();
        if read == 0 || path.contains("/hang/") {
            tokio::time::sleep(TIME * 4).await;
            return Ok(());
        }
        let base = format!("http://{address}");
        let number = path.rsplit('/').next().unwrap_or_default();
        let document = if path.contains("oauth-protected-resource") {
            json!({"resource": format!("{base}/large/{number}"), "authorization_servers": [format!("{base}/as/{number}")]})
        } else if path.contains("oauth-authorization-server") {
            json!({
                "issuer": format!("{base}/as/{number}"), "authorization_endpoint": format!("{base}/authorize"),
                "token_endpoint": format!("{base}/token"), "registration_endpoint": format!("{base}/register"),
                "code_challenge_methods_supported": ["S256"], "x": "x".repeat(60_000),
            })
        } else if path.contains("register") {
            json!({"client_id": "c", "token_endpoint_auth_method": "none", "redirect_uris": ["http://localhost:3000/callback"]})
        } else {
            Value::Null
        };
        let (status, body) = match document {
            Value::Null => ("401 Unauthorized\r\nWWW-Authenticate: Bearer", String::new()),
            document => ("200 OK\r\nContent-Type: application/json", document.to_string()),
        };
        let reply = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(reply.as_bytes()).await?;
    }
}
