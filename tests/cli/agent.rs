//! A whole agent under `strongroom run`: it does its task with credentials of every kind, and a search over its
//! environment, memory, files and traffic finds none of their secrets.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

use crate::support::canaries::{Search, canary};
use crate::support::process::{Installation, Process, Running};
use crate::support::provider::authority::Authority;
use crate::support::provider::peers;

/// Variable that makes this program the agent.
const IS_AGENT: &str = "IS_THE_AGENT";

/// Account of the agent, if the test may choose one.
const NOBODY: u32 = 65534;

/// Ways in which the agent sends a request: the paths of its requests.
const WAYS: [&str; 4] = ["/mcp-get", "/mcp-send", "/base-url", "/tunnel"];

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A server with a credential of each kind, and the folder of an agent.
struct Scene {
    installation: Installation,
    server: Process,
    /// Values that no agent may see, by name.
    hidden: BTreeMap<&'static str, String>,
    /// A value in each answer of an origin.
    answered: String,
    /// Requests at the origins.
    received: Arc<Mutex<Vec<String>>>,
    agent: tempfile::TempDir,
    /// Programs that the account of the agent may start.
    programs: tempfile::TempDir,
    _authority: Authority,
}

impl Scene {
    async fn new() -> Self {
        let mut hidden: BTreeMap<&'static str, String> =
            ["api-key", "access-token", "refresh-token", "password", "header", "client-secret"]
                .map(|name| (name, canary(name)))
                .into();
        let (received, answered, authority) = (Arc::<Mutex<Vec<_>>>::default(), canary("answered"), Authority::new());
        let mut origins = Vec::new();
        for _ in 0..4 {
            let (note, answered) = (received.clone(), answered.clone());
            let port = peers::over_tls(authority.acceptor("localhost", 2020..2100), move |request| {
                note.lock().unwrap().push(request.to_owned());
                echoing(request, &answered)
            });
            origins.push(format!("https://localhost:{}", port.await));
        }
        let tokens = json!({"access_token": hidden["access-token"], "refresh_token": hidden["refresh-token"],
            "token_type": "bearer", "expires_in": 3600});
        let provider = peers::fake_provider(tokens).await;
        let listen = format!("[proxy]\nlisten = \"127.0.0.1:{}\"\n", peers::free_port().await);
        let client = "client_id = \"c\"\nclient_secret = { file = \"client-secret\" }\n";
        let installation = Installation::new(&format!(
            "{listen}[oauth]\ncallback_origins = [\"http://localhost\"]\n[egress]\n\
             allow = [\"127.0.0.0/8\", \"::1/128\"]\nca_certificates = [\"{}\"]\n{}",
            authority.file().display(),
            entries(&origins, &provider, client)
        ))
        .await;
        std::fs::write(installation.path("client-secret"), &hidden["client-secret"]).unwrap();
        let key = installation.key("alice");
        let server = installation.serve().await;
        store_credentials(&server, &key, &hidden, &origins[3]).await;
        let master = std::fs::read_to_string(installation.path("strongroom.key")).unwrap();
        hidden.insert("master-key", master.trim().to_owned());
        hidden.insert("key-of-run", proxy_key(&installation));
        let agent = tempfile::tempdir().unwrap();
        let (url, entries) = (server.url.trim_start_matches("http://"), entries(&origins, &provider, ""));
        std::fs::write(
            agent.path().join("strongroom.toml"),
            format!("[server]\nlisten = \"{url}\"\n{listen}{entries}"),
        )
        .unwrap();
        let programs = tempfile::tempdir().unwrap();
        Self { installation, server, hidden, answered, received, agent, programs, _authority: authority }
    }

    /// Starts the agent under `strongroom run`, with an account of its own if this process may do that. Its own key is
    /// for MCP; that of `run` is another one.
    fn start(&self, mcp_key: &str, planted: &str) -> Running {
        let path = |name: &str| self.agent.path().join(name);
        std::fs::write(path("mcp.key"), mcp_key).unwrap();
        for folder in ["home", "tmp"] {
            std::fs::create_dir(path(folder)).unwrap();
        }
        // Copied by another process: see `serve_as`.
        let this = std::env::current_exe().unwrap();
        for (program, name) in [(this.as_path(), "agent"), (Path::new(env!("CARGO_BIN_EXE_strongroom")), "strongroom")]
        {
            let copied = Command::new("cp").arg(program).arg(self.programs.path().join(name)).status();
            assert!(copied.unwrap().success());
        }
        std::fs::set_permissions(self.programs.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = Command::new(self.programs.path().join("strongroom"));
        command.args(["run", "--"]).arg(self.programs.path().join("agent"));
        command.args(["--exact", "agent::process_of_the_agent", "--nocapture"]);
        command.current_dir(self.agent.path()).env_clear();
        command.env("STRONGROOM_API_KEY", &self.hidden["key-of-run"]).env(IS_AGENT, self.programs.path());
        command.env("HOME", path("home")).env("TMPDIR", path("tmp")).env("PATH", "/usr/bin:/bin");
        command.env("PLANTED", planted);
        if is_root() {
            for name in ["", "home", "tmp", "mcp.key", "strongroom.toml"] {
                chown(path(name), Some(NOBODY), Some(NOBODY)).unwrap();
            }
            command.uid(NOBODY).gid(NOBODY);
        }
        Running::start(command)
    }
}

/// The providers of the server, and of the agent, which has no client secret.
fn entries(origins: &[String], provider: &str, client: &str) -> String {
    let [key, tokens, pair, _] = origins else { panic!("{origins:?}") };
    format!(
        "[providers.keys]\ndisplay_name = \"Keys\"\n[providers.keys.api_key]\nbase_url = \"{key}\"\n\
         in = \"header\"\nname = \"X-Key\"\n[providers.keys.env]\nKEYS_URL = \"{{proxy}}\"\n\
         KEYS_KEY = \"{{placeholder}}\"\n\
         [providers.tokens]\ndisplay_name = \"Tokens\"\n{client}[providers.tokens.oauth]\n\
         authorize_url = \"{provider}/authorize\"\ntoken_url = \"{provider}/token\"\napi_base_url = \"{tokens}\"\n\
         [providers.http]\nallow_private = [\"127.0.0.0/8\", \"::1/128\"]\n\
         [providers.pairs]\ndisplay_name = \"Pairs\"\n[providers.pairs.user_password]\nbase_url = \"{pair}\"\n"
    )
}

/// Repeats the request in its headers and body, in the ways that programs write text.
fn echoing(request: &str, answered: &str) -> String {
    let head = request.split("\r\n\r\n").next().unwrap_or_default();
    let values: Vec<_> = head.lines().skip(1).filter_map(|line| line.split_once(": ")).collect();
    let headers: Vec<_> = values.iter().map(|(name, value)| format!("X-Echo-{name}: {value}\r\n")).collect();
    let encoded: Vec<_> = values
        .iter()
        .map(|(_, value)| percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC).to_string())
        .collect();
    let body = format!("{answered}\n{request}\n{}\n{}", Value::from(request), encoded.join("\n"));
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n{}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        headers.concat(),
        body.len()
    )
}

/// Stores a credential of each kind for alice.
async fn store_credentials(server: &Process, key: &str, hidden: &BTreeMap<&'static str, String>, host: &str) {
    let base = "/v1/integrations";
    for (provider, body) in [
        ("keys", json!({"type": "api_key", "api_key": hidden["api-key"], "title": "t"})),
        ("pairs", json!({"type": "user_password", "username": "robot", "password": hidden["password"], "title": "t"})),
        ("http", json!({"type": "host_scoped", "host": host, "headers": {"X-Scoped": hidden["header"]}, "title": "t"})),
    ] {
        let path = format!("{base}/{provider}/credentials");
        server.ask(Method::POST, &path).key(key).json(&body).send().await.is(201);
    }
    let path = format!("{base}/tokens/oauth/initiate");
    let body = json!({"callback_url": "http://localhost:1/cb"});
    let started = server.ask(Method::POST, &path).key(key).json(&body).send().await.is(200).json();
    let body = json!({"code": "c", "state_token": started["state_token"]});
    server.ask(Method::POST, &format!("{base}/tokens/oauth/complete")).key(key).json(&body).send().await.is(200);
}

/// Creates a key of alice that can only send requests.
fn proxy_key(installation: &Installation) -> String {
    let words = ["key", "create", "--user", "alice", "--permission", "PROXY_INTEGRATIONS"];
    installation.run(&words).must_succeed().stdout().trim().to_owned()
}

/// Returns a file of a process, if this process may read it.
fn of_process(pid: u32, file: &str) -> Option<Vec<u8>> {
    std::fs::read(format!("/proc/{pid}/{file}")).ok()
}

/// Returns the memory of a process that it has not mapped from a file to read only.
fn memory(pid: u32) -> Option<Vec<u8>> {
    use std::os::unix::fs::FileExt as _;
    let maps = String::from_utf8(of_process(pid, "maps")?).unwrap();
    let file = std::fs::File::open(format!("/proc/{pid}/mem")).ok()?;
    let mut memory = Vec::new();
    for line in maps.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (from, to) = words[0].split_once('-').unwrap();
        let is_of_file = words[4] != "0" && !words[1].starts_with("rw");
        if is_of_file || !words[1].starts_with('r') {
            continue;
        }
        let address = |text| u64::from_str_radix(text, 16).unwrap();
        let mut part = vec![0; usize::try_from(address(to) - address(from)).unwrap()];
        // Some, such as [vvar], cannot be read.
        if file.read_exact_at(&mut part, address(from)).is_ok() {
            memory.append(&mut part);
        }
    }
    Some(memory)
}

/// Returns all files below a folder.
fn files_below(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.append(&mut files_below(&path));
        } else if path.is_file() {
            files.insert(path.display().to_string(), std::fs::read(&path).unwrap());
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn agent_does_its_task_and_no_canary_is_found() {
    let scene = Scene::new().await;
    let (mcp_key, planted) = (proxy_key(&scene.installation), canary("planted"));
    let mut run = scene.start(&mcp_key, &planted);
    let line = run.says("the agent is done");
    let pids: Vec<u32> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [agent, mcp] = pids[..] else { panic!("{line}") };
    let mut places = files_below(scene.agent.path());
    assert!(places.keys().any(|name| name.contains("/strongroom-run-") && name.ends_with("ca.pem")), "{places:#?}");
    for (name, pid) in [("agent", agent), ("mcp", mcp), ("run", run.id())] {
        for file in ["environ", "cmdline"] {
            places.extend(of_process(pid, file).map(|bytes| (format!("{name}/{file}"), bytes)));
        }
        places.extend(memory(pid).map(|bytes| (format!("{name}/memory"), bytes)));
    }
    // Only root can read the others.
    assert_eq!(places.contains_key("run/memory") && places.contains_key("mcp/memory"), is_root(), "{line}");
    run.types("end");
    let (code, stdout, stderr) = run.end();
    assert_eq!(code, 0, "{stdout}\n{stderr}");
    places.insert("output".to_owned(), format!("{stdout}{stderr}").into_bytes());
    places.insert("log".to_owned(), scene.server.log().into_bytes());
    let audit = scene.installation.run(&["audit", "list", "--json"]).must_succeed().stdout();
    assert!(audit.contains("proxy.request") && audit.contains("/tunnel"), "{audit}");
    places.insert("audit".to_owned(), audit.into_bytes());

    let search = Search::new(&scene.hidden.values().collect::<Vec<_>>());
    for (place, bytes) in &places {
        // By design, `run` holds the key of its own.
        let is_of_run = ["run/environ", "run/memory"].contains(&place.as_str());
        let expected = if is_of_run { vec![scene.hidden["key-of-run"].clone()] } else { Vec::new() };
        assert_eq!(search.found(bytes), expected, "in {place}");
    }
    // The search finds what is there.
    let shown = Search::new(&[&mcp_key, &planted, &scene.answered]);
    let in_traffic = places.iter().find(|(name, _)| name.ends_with("/traffic")).unwrap().1;
    assert!(shown.found(in_traffic).contains(&scene.answered) && String::from_utf8_lossy(in_traffic).contains("****"));
    assert_eq!(shown.found(&places["agent/environ"]), [planted.as_str()]);
    assert_eq!(shown.found(&places["agent/memory"]).len(), 3);
    assert!(is_root().then(|| shown.found(&places["mcp/memory"])).is_none_or(|found| found.contains(&mcp_key)));
    assert!(shown.found(&places["log"]).is_empty() && shown.found(&places["audit"]).is_empty());

    let pair = STANDARD.encode(format!("robot:{}", scene.hidden["password"]));
    let (key, token, header) = (&scene.hidden["api-key"], &scene.hidden["access-token"], &scene.hidden["header"]);
    let received = scene.received.lock().unwrap();
    assert_eq!(received.len(), 4 * WAYS.len(), "{received:#?}");
    for expected in [key.clone(), format!("Bearer {token}"), format!("Basic {pair}"), header.clone()] {
        for way in WAYS {
            let holds = |request: &&String| request.contains(&format!("{expected}\r\n")) && request.contains(way);
            assert_eq!(received.iter().filter(holds).count(), 1, "{way}: {expected}: {received:#?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn run_that_opened_the_vault_holds_no_secret() {
    let (scene, planted) = (Scene::new().await, canary("planted"));
    let script = "curl -sS \"$KEYS_URL/base-url\" >answer; echo begun >&2; read end";
    let variables = [("PATH", "/usr/bin:/bin"), ("PLANTED", planted.as_str())];
    // Without a key, it makes one in the vault.
    let mut run = scene.installation.start(&["run", "--", "sh", "-c", script], &variables);
    run.says("begun");
    let memory = memory(run.id());
    run.types("end");
    assert_eq!(run.end().0, 0);
    assert!(std::fs::read_to_string(scene.installation.path("answer")).unwrap().contains("/base-url"));
    assert_eq!(memory.is_some(), is_root());
    let Some(memory) = memory else { return };
    assert_eq!(Search::new(&scene.hidden.values().collect::<Vec<_>>()).found(&memory), Vec::<String>::new());
    assert_eq!(Search::new(&[&planted]).found(&memory), [planted]);
}

/// The agent, in a process of its own.
#[test]
fn process_of_the_agent() {
    let Some(programs) = variable(IS_AGENT) else { return };
    let mut agent = Agent::start(&programs);
    let listed = agent.call("list_credentials", &json!({}));
    for credential in listed["credentials"].as_array().unwrap() {
        let [id, provider, host] =
            [&credential["id"], &credential["provider"], &credential["hosts"][0]].map(|value| value.as_str().unwrap());
        let authority = host.trim_start_matches("https://");
        let url = |way: &str| format!("https://{authority}{way}");
        agent.call("http_get", &json!({"credential": id, "url": url(WAYS[0])}));
        agent.call("http_send", &json!({"credential": id, "url": url(WAYS[1]), "method": "POST", "body": "{}"}));
        agent.ask_relay(&format!("{id}@{authority}{}", WAYS[2]), provider == "keys");
        agent.ask_through_tunnel(authority, WAYS[3]);
        agent.try_to_read(&format!("/v1/integrations/{provider}/credentials/{id}/token"));
    }
    for path in ["/v1/integrations/credentials", "/v1/grants", "/v1/approvals"] {
        agent.try_to_read(path);
    }
    let host = listed["credentials"][0]["hosts"][0].as_str().unwrap();
    agent.try_unclear_hosts(host.rsplit(':').next().unwrap());
    agent.try_to_look_into_processes();
    std::fs::write("traffic", &agent.traffic).unwrap();
    writeln!(std::io::stderr(), "the agent is done: {} {}", std::process::id(), agent.mcp.id()).unwrap();
    std::io::stdin().lock().read_line(&mut String::new()).unwrap();
    agent.mcp.kill().unwrap();
    agent.mcp.wait().unwrap();
}

/// Returns a variable of the agent's environment.
#[expect(clippy::disallowed_methods, reason = "the agent is a program of its own")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

struct Agent {
    mcp: Child,
    key: String,
    /// All bytes that it has sent and received, without TLS.
    traffic: Vec<u8>,
}

impl Agent {
    fn start(programs: &str) -> Self {
        let key = std::fs::read_to_string("mcp.key").unwrap();
        let mut mcp = Command::new(Path::new(programs).join("strongroom"));
        mcp.arg("mcp").env("STRONGROOM_API_KEY", &key).stdin(Stdio::piped()).stdout(Stdio::piped());
        Self { mcp: mcp.spawn().unwrap(), key, traffic: Vec::new() }
    }

    /// Calls a tool over the standard input and output of `strongroom mcp`.
    fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": tool, "arguments": arguments}});
        let line = format!("{message}\n");
        self.mcp.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(self.mcp.stdout.as_mut().unwrap()).read_line(&mut answer).unwrap();
        self.traffic.extend_from_slice(format!("{line}{answer}").as_bytes());
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["result"]["isError"], false, "{answer}");
        serde_json::from_str(answer["result"]["content"][0]["text"].as_str().unwrap()).unwrap()
    }

    /// Sends a request, and reads to the end of the connection.
    fn exchange(&mut self, mut stream: impl Read + Write, request: &str) -> String {
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // Some servers end TLS without a message.
        stream.read_to_end(&mut answer).ok();
        self.traffic.extend_from_slice(request.as_bytes());
        self.traffic.extend_from_slice(&answer);
        String::from_utf8(answer).unwrap()
    }

    /// Sends a request to the path proxy of the relay, with the placeholder where an SDK puts its key.
    fn ask_relay(&mut self, path: &str, is_with_placeholder: bool) {
        let base = variable("KEYS_URL").unwrap();
        let (relay, _) = base.strip_prefix("http://").unwrap().split_once("/v1/proxy/").unwrap();
        let key = variable("KEYS_KEY").map(|placeholder| format!("X-Key: {placeholder}\r\n"));
        let key = key.filter(|_| is_with_placeholder).unwrap_or_default();
        let request = format!("GET /v1/proxy/{path} HTTP/1.1\r\nHost: {relay}\r\n{key}Connection: close\r\n\r\n");
        let answer = self.exchange(TcpStream::connect(relay).unwrap(), &request);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }

    /// Sends a request by CONNECT, and TLS with the authorities of `SSL_CERT_FILE`.
    fn ask_through_tunnel(&mut self, authority: &str, path: &str) {
        let relay = variable("HTTPS_PROXY").unwrap();
        let mut stream = TcpStream::connect(relay.strip_prefix("http://").unwrap()).unwrap();
        let connect = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
        stream.write_all(connect.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        self.traffic.extend_from_slice(&head);
        assert!(head.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&head));
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(variable("SSL_CERT_FILE").unwrap()).unwrap() {
            roots.add(certificate.unwrap()).ok();
        }
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
        let name = "localhost".try_into().unwrap();
        let tls = ClientConnection::new(Arc::new(config.with_no_client_auth()), name).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
        let answer = self.exchange(StreamOwned::new(tls, stream), &request);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }

    /// Its key opens no route of the API with a secret.
    fn try_to_read(&mut self, path: &str) {
        let settings = std::fs::read_to_string("strongroom.toml").unwrap();
        let server = TcpStream::connect(settings.split('"').nth(1).unwrap()).unwrap();
        let key = &self.key;
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {key}\r\nConnection: close\r\n\r\n");
        let answer = self.exchange(server, &request);
        assert!(answer.starts_with("HTTP/1.1 403 "), "{path}: {answer}");
    }

    /// The relay neither passes on nor dials a host that can be read in several ways.
    fn try_unclear_hosts(&mut self, port: &str) {
        let corpus: Vec<String> = serde_json::from_str(include_str!("../support/ambiguous_hosts.json")).unwrap();
        for text in corpus.iter().map(|text| text.replace("a.example", "localhost").replace("443", port)) {
            // In a head, a line feed ends the line.
            for target in
                [format!("CONNECT {text}"), format!("GET http://{text}/")].iter().filter(|_| !text.contains('\n'))
            {
                let relay = variable("HTTPS_PROXY").unwrap();
                let stream = TcpStream::connect(relay.strip_prefix("http://").unwrap()).unwrap();
                let head = format!("{target} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
                let answer = self.exchange(stream, &head);
                assert!(!answer.starts_with("HTTP/1.1 2"), "{target:?}: {answer}");
            }
        }
    }

    /// The processes around it cannot be read.
    fn try_to_look_into_processes(&self) {
        for pid in [std::os::unix::process::parent_id(), self.mcp.id()] {
            for file in ["environ", "mem", "maps"] {
                let path = format!("/proc/{pid}/{file}");
                let read = std::fs::File::open(&path).and_then(|mut file| file.read(&mut [0]));
                assert!(read.is_err(), "the agent reads {path}");
            }
        }
    }
}
