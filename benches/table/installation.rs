//! An installation of the release binary in a folder of its own, and the server process.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use strongroom::clock::Clock;
use strongroom::random::Random;
use strongroom::sandbox::Sandbox;
use strongroom::vault::{MasterKey, OpenMode, Vault};

use super::options::binary;

/// Settings, master key and vault.
pub struct Installation {
    folder: tempfile::TempDir,
    pub address: SocketAddr,
}

/// A provider in this process, with its runtime.
pub struct Provider {
    pub sandbox: Sandbox,
    _runtime: tokio::runtime::Runtime,
}

impl Provider {
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let sandbox = runtime.block_on(Sandbox::start(Clock::system(), Random)).expect("the sandbox starts");
        Self { sandbox, _runtime: runtime }
    }

    /// The settings of an installation that knows it as `sandbox`.
    fn settings(&self) -> String {
        let entry = self.sandbox.entry_toml().replace("\n[oauth", "\n[providers.sandbox.oauth");
        let entry = entry.replace("\n[api_key]", "\n[providers.sandbox.api_key]");
        let secret = self.sandbox.client_secret().expose().to_owned();
        format!(
            "[oauth]\ncallback_origins = [\"http://localhost\"]\n[egress]\nallow = [\"127.0.0.0/8\"]\n\
             [providers.mcp]\nallow_private = [\"127.0.0.0/8\"]\n\
             [providers.sandbox]\nclient_id = \"{}\"\nclient_secret = \"{secret}\"\n{entry}",
            self.sandbox.client_id()
        )
    }
}

/// Settings of `[limits]` that no row reaches: the rows measure the server, not its limits.
const LIFTED: &str = "waiting_per_key = 100000\nsecrets_burst = 1000000000\n\
    secrets_per_second = 1000000000\nsecrets_per_second_in_all = 1000000000\n";

impl Installation {
    /// `strongroom init`, and settings that know the sandbox, with limits that no row reaches.
    pub fn new(provider: Option<&Provider>) -> Self {
        Self::with_limits(provider, LIFTED)
    }

    /// The same with these lines in `[limits]`. The folder is under `target`, on a real disk.
    pub fn with_limits(provider: Option<&Provider>, limits: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("bench-").tempdir_in(env!("CARGO_TARGET_TMPDIR"));
        let folder = folder.expect("a folder under target");
        let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
        let this = Self { folder, address };
        this.run(&["init"]);
        let settings = format!(
            "[server]\nlisten = \"{address}\"\nmax_connections = 8192\n\
             [limits]\n{limits}\n\
             [vault]\npath = \"strongroom.db\"\nmaster_key = {{ file = \"strongroom.key\" }}\n{}\n",
            provider.map(Provider::settings).unwrap_or_default()
        );
        std::fs::write(this.path("strongroom.toml"), settings).expect("the settings can be written");
        this
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A command of the binary, in this folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Runs one to its end; what it said.
    pub fn run(&self, arguments: &[&str]) -> String {
        let done = self.command(arguments).output().expect("the binary runs");
        let why = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "strongroom {arguments:?}: {why}");
        String::from_utf8(done.stdout).expect("it speaks UTF-8")
    }

    /// An API key with every permission of everyday use; `holder` is `--user U` or `--service`.
    pub fn key(&self, holder: &[&str]) -> String {
        let mut arguments = vec!["key", "create", "--json"];
        arguments.extend(holder);
        for permission in ["READ_INTEGRATIONS", "MANAGE_INTEGRATIONS", "DELETE_INTEGRATIONS", "USE_INTEGRATIONS"] {
            arguments.extend(["--permission", permission]);
        }
        let made: serde_json::Value = serde_json::from_str(&self.run(&arguments)).expect("JSON");
        made["api_key"].as_str().expect("it is shown once").to_owned()
    }

    /// The vault, through the library.
    pub fn vault(&self) -> Vault {
        let text = std::fs::read_to_string(self.path("strongroom.key")).expect("the key file");
        let master = MasterKey::parse_file_text(&text).expect("a master key");
        let path = self.path("strongroom.db").canonicalize().expect("the vault is there");
        Vault::open(&path, &master, OpenMode::Command, Clock::system(), Random).expect("the vault opens")
    }

    /// `strongroom serve`, once it is ready, and how long that took.
    pub fn serve(&self) -> (Server, Duration) {
        let began = Instant::now();
        let log = File::create(self.path("server.log")).expect("the log can be written");
        let child = self.command(&["serve"]).stdout(Stdio::null()).stderr(log).spawn().expect("the binary runs");
        let server = Server(child);
        while !is_ready(self.address) {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "serve is not ready: see {}",
                self.path("server.log").display()
            );
            std::thread::sleep(Duration::from_micros(300));
        }
        (server, began.elapsed())
    }
}

fn is_ready(address: SocketAddr) -> bool {
    use std::io::{Read as _, Write as _};
    let Ok(mut stream) = std::net::TcpStream::connect(address) else { return false };
    let asked = stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    asked.is_ok() && stream.read_to_string(&mut answer).is_ok() && answer.starts_with("HTTP/1.1 200")
}

/// A process that is killed when dropped.
pub struct Server(pub Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    /// CPU time that it has taken so far, in seconds.
    pub fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).expect("/proc is there");
        let fields: Vec<&str> = stat.rsplit(')').next().expect("the name ends").split_whitespace().collect();
        let ticks = |place: usize| fields[place].parse::<u64>().expect("a number");
        // utime and stime, in ticks of 10 ms.
        (ticks(11) + ticks(12)) as f64 / 100.0
    }

    /// Resident memory now (`VmRSS`) or at its most (`VmHWM`), in MB.
    pub fn memory(&self, which: &str) -> f64 {
        memory_of(self.0.id(), which).expect("the process runs")
    }
}

/// Resident memory of any process; none if it has ended.
pub fn memory_of(pid: u32, which: &str) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(which)?.strip_prefix(':'))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib as f64 / 1024.0)
}
