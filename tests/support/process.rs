//! The real binary as a process of its own: for what can only be seen from outside (logs, files, kill -9).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use strongroom::clock::Clock;
use strongroom::random::Random;
use strongroom::sandbox::Sandbox;

use super::flow::CALLBACK;
use super::http::Ask;

/// An installation in a temporary folder: `strongroom.toml`, `strongroom.key`, `strongroom.db`.
pub struct Installation {
    pub folder: tempfile::TempDir,
    port: u16,
}

/// A running `strongroom serve`; killed when dropped.
pub struct Process {
    pub url: String,
    child: Child,
    log: PathBuf,
}

impl Installation {
    /// `strongroom init`, with `settings` (TOML) put under its configuration.
    pub async fn new(settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = super::provider::peers::free_port().await;
        let this = Self { folder, port };
        this.run(&["init"]).must_succeed();
        let file = this.path("strongroom.toml");
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:{port}\"\npublic_url = \"http://127.0.0.1:{port}\"\n\
             [vault]\npath = \"strongroom.db\"\nmaster_key = {{ file = \"strongroom.key\" }}\n{settings}\n"
        );
        std::fs::write(file, config).expect("the configuration can be written");
        this
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn binary(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
        command.current_dir(self.folder.path()).env_clear();
        command
    }

    /// Runs a command of the binary to its end, in the installation's folder.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        self.run_with_stdin(arguments, "")
    }

    /// Starts a command that runs until it is stopped. `more` are variables of its environment.
    pub fn start(&self, arguments: &[&str], more: &[(&str, &str)]) -> Running {
        let mut command = self.binary();
        command.args(arguments).envs(more.iter().copied());
        Running::start(command)
    }

    /// Number of rows in a table of the vault.
    pub fn rows(&self, table: &str) -> u32 {
        let file = rusqlite::Connection::open(self.path("strongroom.db")).expect("the vault's file");
        file.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).expect("the table can be read")
    }

    pub fn run_with_stdin(&self, arguments: &[&str], stdin: &str) -> Finished {
        use std::io::Write as _;
        let mut child = self
            .binary()
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut input = child.stdin.take().expect("stdin is piped");
        let _ = input.write_all(stdin.as_bytes());
        drop(input);
        Finished(child.wait_with_output().expect("the binary ends"))
    }

    /// A fresh API key of `user` with the permissions of everyday use.
    pub fn key(&self, user: &str) -> String {
        self.run(&["user", "add", user]);
        let made = self.run(&[
            "key",
            "create",
            "--user",
            user,
            "--permission",
            "READ_INTEGRATIONS",
            "--permission",
            "MANAGE_INTEGRATIONS",
            "--permission",
            "DELETE_INTEGRATIONS",
            "--permission",
            "USE_INTEGRATIONS",
            "--permission",
            "PROXY_INTEGRATIONS",
            "--json",
        ]);
        made.must_succeed().json()["api_key"].as_str().expect("the key is shown once").to_owned()
    }

    /// `strongroom serve` with the vault on a disk of its own of so many KiB, half of it taken by a file `filler`; nothing
    /// if this machine does not allow such mounts (Linux without user namespaces, another system).
    pub async fn serve_on_a_small_disk(&self, kib: u32) -> Option<Process> {
        let may = Command::new("unshare").args(["-rm", "true"]).output().is_ok_and(|ended| ended.status.success());
        if !may {
            return None;
        }
        std::fs::create_dir(self.path("disk")).expect("a folder to mount on");
        let script = format!(
            "mount -t tmpfs -o size={kib}k,mode=0700 none disk && cp -p strongroom.db disk/ && \
             head -c {} /dev/zero >disk/filler && exec \"$0\" --vault disk/strongroom.db serve",
            u64::from(kib) * 512
        );
        let log = self.path("server.log");
        let out = std::fs::File::create(&log).expect("the log can be written");
        let child = Command::new("unshare")
            .args(["-rm", "sh", "-c", &script, env!("CARGO_BIN_EXE_strongroom")])
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("a second handle"))
            .stderr(out)
            .spawn()
            .expect("unshare runs");
        let mut process = Process { url: format!("http://127.0.0.1:{}", self.port), child, log };
        process.wait_until_ready().await;
        Some(process)
    }

    /// Number of audit rows with this action.
    pub fn audited(&self, action: &str) -> u32 {
        let file = rusqlite::Connection::open(self.path("strongroom.db")).expect("the vault's file");
        let count = file.query_row("SELECT count(*) FROM audit WHERE action = ?", [action], |row| row.get(0));
        count.expect("the audit log can be read")
    }

    /// `strongroom serve`, once it answers.
    pub async fn serve(&self) -> Process {
        let mut process = self.launch(&[("RUST_LOG", "trace".as_ref())]);
        process.wait_until_ready().await;
        process
    }

    /// `strongroom serve`, which may never come to answer; `variables` are its environment.
    pub fn launch(&self, variables: &[(&str, &Path)]) -> Process {
        let log = self.path("server.log");
        let out = std::fs::OpenOptions::new().create(true).append(true).open(&log).expect("the log can be written");
        let child = self
            .binary()
            .arg("serve")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("a second handle"))
            .stderr(out)
            .spawn()
            .expect("the binary runs");
        Process { url: format!("http://127.0.0.1:{}", self.port), child, log }
    }

    /// `strongroom serve` with a pipe for its stderr, which only the test reads.
    pub fn launch_with_a_pipe(&self, variables: &[(&str, &Path)]) -> (Process, ChildStderr) {
        let mut child = self
            .binary()
            .arg("serve")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let stderr = child.stderr.take().expect("stderr is piped");
        (Process { url: format!("http://127.0.0.1:{}", self.port), child, log: self.path("server.log") }, stderr)
    }

    /// Starts a command, in the same way, and leaves it to itself.
    pub fn begin_in(&self, variables: &[(&str, &Path)], arguments: &[&str]) -> Child {
        let mut command = self.binary();
        command.args(arguments).envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("the binary runs")
    }

    /// Length of its servers' log so far.
    pub fn log_length(&self) -> usize {
        std::fs::read(self.path("server.log")).map_or(0, |log| log.len())
    }

    /// Log lines after that length.
    pub fn log_since(&self, length: usize) -> String {
        let log = std::fs::read(self.path("server.log")).unwrap_or_default();
        String::from_utf8_lossy(&log[length.min(log.len())..]).into_owned()
    }

    /// Runs a command of the binary to its end, in the installation's folder and with these variables.
    pub fn run_in(&self, variables: &[(&str, &Path)], arguments: &[&str]) -> Finished {
        let mut command = self.binary();
        command.args(arguments).envs(variables.iter().copied()).stdin(Stdio::null());
        Finished(command.output().expect("the binary runs"))
    }
}

impl Installation {
    /// `strongroom serve` as another user, whose the installation is from then on; only root can.
    pub async fn serve_as(&self, user: u32) -> Process {
        use std::os::unix::process::CommandExt as _;
        // The folder of the tests may be one that this user cannot look into.
        let program = self.path("strongroom");
        // By another process: a child that another test begins meanwhile would inherit the open copy, and a file that is open
        // for writing cannot be executed (ETXTBSY).
        let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_strongroom")).arg(&program).status();
        assert!(copied.expect("cp runs").success());
        let owner = format!("{user}:{user}");
        let given = Command::new("chown").args(["-R", &owner]).arg(self.folder.path()).status();
        assert!(given.expect("chown runs").success());
        let log = self.path("server.log");
        let out = std::fs::File::create(&log).expect("the log can be written");
        let child = Command::new(program)
            .arg("serve")
            .current_dir(self.folder.path())
            .env_clear()
            .uid(user)
            .gid(user)
            .stdin(Stdio::null())
            .stdout(out.try_clone().expect("a second handle"))
            .stderr(out)
            .spawn()
            .expect("the binary runs");
        let mut process = Process { url: format!("http://127.0.0.1:{}", self.port), child, log };
        process.wait_until_ready().await;
        process
    }
}

/// The sandbox as a server of its own, in this process: it needs a thread of its own while a command is waited for.
pub async fn sandbox() -> Sandbox {
    Sandbox::start(Clock::system(), Random).await.expect("the sandbox starts")
}

/// Settings that describe the sandbox as a provider of the operator's own.
pub fn sandbox_settings(sandbox: &Sandbox) -> String {
    let entry = sandbox.entry_toml().replace("\n[", "\n[providers.sandbox.");
    let secret = sandbox.client_secret().expose();
    format!(
        "[oauth]\ncallback_origins = [\"http://localhost\"]\n[egress]\nallow = [\"127.0.0.0/8\"]\n\
         [providers.sandbox]\nclient_id = \"{}\"\nclient_secret = \"{secret}\"\n\
         lend_client = true\nlend_scopes = [\"read\"]\n{entry}",
        sandbox.client_id()
    )
}

impl Process {
    /// Connects an account at the sandbox as an application and its user do; gives the credential's id.
    pub async fn connect_sandbox(&self, key: &str) -> String {
        let body = json!({"callback_url": CALLBACK});
        let path = "/v1/integrations/sandbox/oauth/initiate";
        let started = self.ask(http::Method::POST, path).key(key).json(&body).send().await.is(200).json();
        let login = format!("{}&sandbox_decision=approve", started["login_url"].as_str().expect("a text"));
        let back = Ask::new(http::Method::GET, login).send().await.is(303);
        let back = url::Url::parse(back.header("Location").expect("a redirect")).expect("a URL");
        let code = back.query_pairs().find(|(name, _)| name == "code").expect("a code").1.into_owned();
        let body = json!({"code": code, "state_token": started["state_token"]});
        let path = "/v1/integrations/sandbox/oauth/complete";
        let completed = self.ask(http::Method::POST, path).key(key).json(&body).send().await.is(200).json();
        completed["credentials_id"].as_str().expect("an id").to_owned()
    }

    async fn wait_until_ready(&mut self) {
        if let Err(status) = self.ready().await {
            panic!("serve ended with {status}: {}", self.log());
        }
    }

    /// Waits until it answers, or gives how it ended.
    pub async fn ready(&mut self) -> Result<(), ExitStatus> {
        for _ in 0..600 {
            if let Some(status) = self.child.try_wait().expect("the process can be asked") {
                return Err(status);
            }
            let asked = Ask::new(http::Method::GET, format!("{}/readyz", self.url)).try_send().await;
            if asked.is_ok_and(|reply| reply.status == 200) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("serve is not ready: {}", self.log());
    }

    /// Waits until the process exits on its own.
    pub async fn end(mut self) -> ExitStatus {
        for _ in 0..1_500 {
            if let Some(status) = self.child.try_wait().expect("the process can be asked") {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("serve does not end: {}", self.log());
    }

    pub fn ask(&self, method: http::Method, path: &str) -> Ask {
        Ask::new(method, format!("{}{path}", self.url))
    }

    /// Ids of all credentials that `key` may list, page by page.
    pub async fn listed(&self, key: &str) -> BTreeSet<String> {
        let mut ids = BTreeSet::new();
        let mut path = "/v1/integrations/credentials".to_owned();
        loop {
            let page = self.ask(http::Method::GET, &path).key(key).send().await.is(200);
            let listed = page.json();
            let listed = listed.as_array().expect("a list").iter();
            let before = ids.len();
            let page_ids: Vec<&str> = listed.map(|item| item["id"].as_str().expect("an id")).collect();
            ids.extend(page_ids.iter().map(|id| (*id).to_owned()));
            if page.header("link").is_none() {
                return ids;
            }
            assert!(ids.len() > before, "a page with a next one has new credentials");
            path = format!("/v1/integrations/credentials?after={}", page_ids.last().expect("a page is not empty"));
        }
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The memory that it has, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel tells VmRSS");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Everything that the process wrote to stdout and stderr.
    pub fn log(&self) -> String {
        // The server writes its lines in batches, some milliseconds later.
        std::thread::sleep(Duration::from_millis(50));
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// A file as the process sees it, which may have disks of its own.
    pub fn sees(&self, file: &Path) -> PathBuf {
        format!("/proc/{}/root{}", self.child.id(), file.display()).into()
    }

    /// Removes a file as the process sees it.
    pub fn remove(&self, file: &Path) {
        std::fs::remove_file(self.sees(file)).expect("the file can be removed");
    }

    /// Writes to a file of the process's own disk until so many KiB are left there.
    pub fn fill(&self, file: &Path, leaving_kib: u64) {
        use std::io::Write as _;
        let file = self.sees(file);
        let disk = rustix::fs::statvfs(file.parent().expect("a folder")).expect("the disk can be asked");
        let filler = (disk.f_bavail * disk.f_frsize).saturating_sub(leaving_kib * 1024);
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file).expect("the file can be made");
        let zeros = vec![0; usize::try_from(filler).expect("a small disk")];
        file.write_all(&zeros).expect("there is room");
    }

    /// Runs a command of the binary beside the process, in `folder`, with the same disks.
    pub fn run_beside(&self, folder: &Path, arguments: &[&str]) -> Finished {
        let id = self.child.id().to_string();
        let ended = Command::new("nsenter")
            .args(["--preserve-credentials", "-U", "-m", "-t", &id, "sh", "-c", "cd \"$0\" && exec \"$@\""])
            .arg(folder)
            .arg(env!("CARGO_BIN_EXE_strongroom"))
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .output();
        Finished(ended.expect("nsenter runs"))
    }

    /// SIGKILL: no chance to tidy up.
    pub fn kill(mut self) {
        self.child.kill().expect("the process can be killed");
        self.child.wait().expect("the process ends");
    }

    /// SIGTERM, and the end of the process.
    pub fn stop(self) -> ExitStatus {
        self.signal_and_wait("TERM")
    }

    /// A signal, `ABRT` say, and the end of the process.
    pub fn signal_and_wait(mut self, name: &str) -> ExitStatus {
        signal(&self.child, name);
        self.child.wait().expect("the process ends")
    }

    /// Sends a signal, `STOP` say.
    pub fn signal(&self, name: &str) {
        signal(&self.child, name);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal, `INT` say.
pub fn signal(process: &Child, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), process.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

/// A command under way; killed when dropped.
pub struct Running {
    child: Child,
    told: std::sync::mpsc::Receiver<String>,
    /// Its stderr, as far as it was read.
    pub said: String,
}

impl Running {
    /// Starts a command with pipes in the place of its terminal.
    pub fn start(mut command: Command) -> Self {
        use std::io::BufRead as _;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        let stderr = std::io::BufReader::new(child.stderr.take().expect("stderr is piped"));
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        Self { child, told, said: String::new() }
    }

    /// The process's id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line on stderr that has `text`, and gives it without the space around it.
    #[track_caller]
    pub fn says(&mut self, text: &str) -> String {
        loop {
            let Ok(line) = self.told.recv_timeout(Duration::from_secs(60)) else {
                panic!("'{text}' never came: {}", self.said);
            };
            self.said.push_str(&line);
            self.said.push('\n');
            if line.contains(text) {
                return line.trim().to_owned();
            }
        }
    }

    /// Writes a line to its standard input.
    pub fn types(&mut self, line: &str) {
        use std::io::Write as _;
        let stdin = self.child.stdin.as_mut().expect("stdin is piped");
        stdin.write_all(format!("{line}\n").as_bytes()).expect("the command reads");
    }

    /// Sends a signal, `INT` say.
    pub fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Waits for its end: exit code, stdout, and all of stderr.
    pub fn end(mut self) -> (i32, String, String) {
        use std::io::Read as _;
        drop(self.child.stdin.take());
        let mut stdout = String::new();
        self.child.stdout.take().expect("stdout is piped").read_to_string(&mut stdout).expect("stdout is text");
        let status = self.child.wait().expect("the command ends");
        let mut said = std::mem::take(&mut self.said);
        for line in &self.told {
            said.push_str(&line);
            said.push('\n');
        }
        (status.code().unwrap_or(-1), stdout, said)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that has ended.
pub struct Finished(pub Output);

impl Finished {
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    #[track_caller]
    pub fn must_succeed(self) -> Self {
        assert!(self.0.status.success(), "{}: {}{}", self.0.status, self.stdout(), self.stderr());
        self
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.0.stdout).unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.stdout()))
    }
}
