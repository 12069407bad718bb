//! An installation on a disk that can fail, the users who work with it, and what was promised to them: after whatever
//! happened, `problems` holds the vault against that.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::sync::{Mutex, MutexGuard};

use http::Method;
use rusqlite::{Connection, OpenFlags, params_from_iter};
use serde_json::{Value, json};
use strongroom::clock::Clock;
use strongroom::random::Random;
use strongroom::sandbox::Sandbox;
use strongroom::vault::{BackupSource, MasterKey, Restorer};

use super::chance::Chance;
use super::disk::Disk;
use super::flow::CALLBACK;
use super::http::{Ask, Reply};
use super::process::{Finished, Installation, Process, sandbox, sandbox_settings};

/// The installation, its disk, a provider, and the truth.
pub struct World {
    pub installation: Installation,
    pub disk: Disk,
    pub provider: Sandbox,
    pub key: String,
    truth: Mutex<Truth>,
}

/// Acknowledged outcomes. A request without a response may have happened or not.
#[derive(Default)]
struct Truth {
    /// Credentials that were acknowledged, with their secret.
    stored: BTreeMap<String, String>,
    /// Of these, the ones since the last look.
    fresh: Vec<String>,
    /// A delete was sent, and not answered.
    between: BTreeMap<String, String>,
    /// A delete was acknowledged.
    deleted: BTreeSet<String>,
    /// Accounts at the provider: whether a refresh was sent and not answered.
    logins: BTreeMap<String, bool>,
    /// Required rows of the audit log: request, action, credential.
    audited: Vec<[String; 3]>,
    /// Numbers the secrets.
    made: u64,
    /// Every master key that there was so far.
    master_keys: BTreeSet<String>,
    /// A backup was written, and said to be.
    backed_up: bool,
    /// Number of acknowledgements.
    promises: u64,
}

/// Request of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    Create,
    Read,
    Delete,
    Connect,
    Refresh,
}

/// Outcome of a request: answered correctly or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Done,
    /// There was nothing to do it to.
    Nothing,
    /// An error, or no answer.
    Failed,
}

/// The commands that say whether everything is as it was written.
const CHECKS: [&[&str]; 1] = [&["vault", "verify"]];

/// Folder for the backups of the tests.
pub const BACKUP: &str = "backup.strongroom";

const OF_OPENAI: &str = "/v1/integrations/openai/credentials";
const OF_SANDBOX: &str = "/v1/integrations/sandbox";

impl World {
    pub async fn new() -> Self {
        let provider = sandbox().await;
        let installation = Installation::new(&sandbox_settings(&provider)).await;
        let key = installation.key("alice");
        let disk = Disk::under(installation.folder.path());
        Self { installation, disk, provider, key, truth: Mutex::default() }
    }

    /// The server on this disk, or how it ended before it answered.
    pub async fn serve(&self) -> Result<Process, ExitStatus> {
        let variables = self.disk.variables();
        let mut process = self.installation.launch(&with_paths(&variables));
        process.ready().await.map(|()| process)
    }

    /// A command on this disk. What it says is kept in mind as what a caller is told.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        self.note_keys();
        let variables = self.disk.variables();
        let ended = self.installation.run_in(&with_paths(&variables), arguments);
        if ended.0.status.success() && arguments.contains(&BACKUP) && arguments.contains(&"backup") {
            self.truth().backed_up = true;
        }
        ended
    }

    /// Runs the requests while another task runs, which ends on its own or at the power cut.
    pub fn begin(&self, arguments: &[&str]) -> Child {
        self.note_keys();
        let variables = self.disk.variables();
        self.installation.begin_in(&with_paths(&variables), arguments)
    }

    /// The server on this disk after something was cut short; a change of the master key is brought to its end first, as its
    /// command says.
    pub async fn serve_again(&self) -> Result<Process, String> {
        const WRONG_KEY: i32 = 3;
        match self.serve().await {
            Err(status) if status.code() == Some(WRONG_KEY) => {
                if let Some(problem) = self.problems_of(&["vault", "rekey"]) {
                    return Err(problem);
                }
                self.serve().await.map_err(|status| format!("the vault does not open again: {status}"))
            }
            other => other.map_err(|status| format!("the vault does not open again: {status}")),
        }
    }

    fn truth(&self) -> MutexGuard<'_, Truth> {
        self.truth.lock().expect("no holder panics")
    }

    /// Number of acknowledgements so far.
    pub fn promises(&self) -> u64 {
        self.truth().promises
    }

    /// Several callers at once, until the server is gone or `rounds` are over: they create, read, delete, connect, refresh.
    /// Returns true if all of it was done.
    pub async fn work(&self, server: &Process, seed: u64, rounds: u32) -> bool {
        let caller = async |number: u64, acts: &[Act]| {
            let mut chance = Chance::new(seed.wrapping_mul(31).wrapping_add(number));
            for _ in 0..rounds {
                let act = acts[chance.index(acts.len())];
                if self.act(server, act, &mut chance).await == Told::Failed {
                    return false;
                }
            }
            true
        };
        let all = tokio::join!(
            caller(0, &[Act::Create]),
            caller(1, &[Act::Create, Act::Read, Act::Read]),
            caller(2, &[Act::Delete, Act::Create]),
            caller(3, &[Act::Connect, Act::Refresh, Act::Refresh, Act::Refresh]),
        );
        all == (true, true, true, true)
    }

    /// One thing that a caller does, and what is promised by the answer.
    pub async fn act(&self, server: &Process, act: Act, chance: &mut Chance) -> Told {
        let told = match act {
            Act::Create => self.create(server).await,
            Act::Read => self.read(server, chance).await,
            Act::Delete => self.delete(server, chance).await,
            Act::Connect => self.connect(server).await,
            Act::Refresh => self.refresh(server, chance).await,
        };
        if told == Told::Done {
            self.truth().promises += 1;
        }
        told
    }

    fn ask(&self, server: &Process, method: Method, path: &str) -> Ask {
        server.ask(method, path).key(&self.key)
    }

    async fn create(&self, server: &Process) -> Told {
        let secret = {
            let mut truth = self.truth();
            truth.made += 1;
            format!("secret-{}", truth.made)
        };
        let body = json!({"type": "api_key", "api_key": secret, "title": "t"});
        let Some(reply) = answered(self.ask(server, Method::POST, OF_OPENAI).json(&body), 201).await else {
            return Told::Failed;
        };
        let id = text(&reply.json()["id"]);
        let mut truth = self.truth();
        truth.audit(&reply, "credential.create", &id);
        truth.stored.insert(id.clone(), secret);
        truth.fresh.push(id);
        Told::Done
    }

    async fn read(&self, server: &Process, chance: &mut Chance) -> Told {
        let Some((id, secret)) = any(&self.truth().stored, chance) else { return Told::Nothing };
        let path = format!("{OF_OPENAI}/{id}/token");
        let Ok(reply) = self.ask(server, Method::GET, &path).try_send().await else { return Told::Failed };
        // Another caller may delete it meanwhile.
        if reply.status == 404 && !self.truth().stored.contains_key(&id) {
            return Told::Nothing;
        }
        if reply.status != 200 {
            return Told::Failed;
        }
        assert_eq!(text(&reply.json()["api_key"]), secret, "a wrong plaintext");
        self.truth().audit(&reply, "credential.read", &id);
        Told::Done
    }

    /// A few are always left.
    async fn delete(&self, server: &Process, chance: &mut Chance) -> Told {
        let (id, secret) = {
            let mut truth = self.truth();
            let Some((id, secret)) = any(&truth.stored, chance).filter(|_| truth.stored.len() > 5) else {
                return Told::Nothing;
            };
            truth.stored.remove(&id);
            truth.between.insert(id.clone(), secret.clone());
            (id, secret)
        };
        let path = format!("{OF_OPENAI}/{id}");
        let Some(reply) = answered(self.ask(server, Method::DELETE, &path), 200).await else { return Told::Failed };
        let mut truth = self.truth();
        truth.between.remove(&id);
        truth.audit(&reply, "credential.delete", &id);
        truth.deleted.insert(id);
        drop(secret);
        Told::Done
    }

    /// Three accounts at most.
    async fn connect(&self, server: &Process) -> Told {
        if self.truth().logins.len() >= 3 {
            return Told::Nothing;
        }
        let body = json!({"callback_url": CALLBACK});
        let begin = self.ask(server, Method::POST, &format!("{OF_SANDBOX}/oauth/initiate")).json(&body);
        let Some(started) = answered(begin, 200).await else { return Told::Failed };
        let started = started.json();
        let login = format!("{}&sandbox_decision=approve", text(&started["login_url"]));
        let back = Ask::new(Method::GET, login).send().await.is(303);
        let back = url::Url::parse(back.header("Location").expect("a redirect")).expect("a URL");
        let code = back.query_pairs().find(|(name, _)| name == "code").expect("a code").1.into_owned();
        let body = json!({"code": code, "state_token": started["state_token"]});
        let complete = self.ask(server, Method::POST, &format!("{OF_SANDBOX}/oauth/complete")).json(&body);
        let Some(reply) = answered(complete, 200).await else { return Told::Failed };
        let id = text(&reply.json()["credentials_id"]);
        let mut truth = self.truth();
        truth.audit(&reply, "credential.create", &id);
        truth.logins.insert(id, false);
        Told::Done
    }

    async fn refresh(&self, server: &Process, chance: &mut Chance) -> Told {
        let Some((id, _)) = any(&self.truth().logins, chance) else { return Told::Nothing };
        self.truth().logins.insert(id.clone(), true);
        let path = format!("{OF_SANDBOX}/credentials/{id}/refresh");
        let Some(reply) = answered(self.ask(server, Method::POST, &path), 200).await else { return Told::Failed };
        let mut truth = self.truth();
        truth.audit(&reply, "refresh.finish", &id);
        truth.logins.insert(id, false);
        Told::Done
    }

    /// Holds the vault of a server that has just started against everything that was promised; gives what does not hold.
    pub async fn problems(&self, server: &Process) -> Vec<String> {
        let mut problems = self.problems_of_the_file();
        for check in CHECKS {
            problems.extend(self.problems_of(check));
        }
        let backup = self.installation.path(BACKUP).exists();
        if backup {
            // A file of that name is a whole backup, however it came to be there.
            problems.extend(self.problems_of_the_backup());
        } else if self.truth().backed_up {
            problems.push("a backup that was acknowledged is lost".to_owned());
        }
        let listed = server.listed(&self.key).await;
        let fresh: Vec<(String, String)> = {
            let mut truth = self.truth();
            let promised = truth.stored.keys().chain(truth.logins.keys());
            problems.extend(promised.filter(|id| !listed.contains(*id)).map(|id| format!("{id} is lost")));
            let back = truth.deleted.iter().filter(|id| listed.contains(*id));
            problems.extend(back.map(|id| format!("{id} was deleted and is back")));
            for (id, secret) in std::mem::take(&mut truth.between) {
                if listed.contains(&id) {
                    truth.stored.insert(id, secret);
                } else {
                    truth.deleted.insert(id);
                }
            }
            let fresh = std::mem::take(&mut truth.fresh);
            fresh.into_iter().filter_map(|id| truth.stored.get(&id).cloned().map(|secret| (id, secret))).collect()
        };
        for (id, secret) in fresh {
            let token = self.ask(server, Method::GET, &format!("{OF_OPENAI}/{id}/token")).send().await;
            if token.status != 200 || text(&token.json()["api_key"]) != secret {
                problems.push(format!("the secret of {id} is not what was stored: {}", token.status));
            }
        }
        let logins: Vec<(String, bool)> = self.truth().logins.iter().map(|(id, sent)| (id.clone(), *sent)).collect();
        for (id, sent) in logins {
            if let Err(problem) = self.look_at_login(server, &id, sent).await {
                problems.push(problem);
            }
        }
        problems
    }

    /// A backup is opened by the master key at its time, which is one of the keys so far.
    fn problems_of_the_backup(&self) -> Option<String> {
        self.note_keys();
        let mut problem = None;
        for key in &self.truth().master_keys {
            let master = MasterKey::parse_file_text(key).expect("a key file");
            let with = Restorer { master: &master, clock: Clock::system(), random: Random };
            match BackupSource::open(&self.installation.path(BACKUP)).and_then(|source| with.verify(source)) {
                Ok(_) => return None,
                Err(error) => problem = Some(format!("the backup: {error}")),
            }
        }
        problem
    }

    fn note_keys(&self) {
        for name in ["strongroom.key", "strongroom.key.new"] {
            let key = std::fs::read_to_string(self.installation.path(name)).unwrap_or_default();
            // One whose writing was cut short has opened nothing yet.
            if MasterKey::parse_file_text(&key).is_ok() {
                self.truth().master_keys.insert(key);
            }
        }
    }

    /// Complaint of a command. The command runs on this disk too: at its end it moves the write-ahead log into the
    /// vault's file, which the disk has to record.
    pub fn problems_of(&self, command: &[&str]) -> Option<String> {
        let ended = self.run(command);
        (!ended.0.status.success()).then(|| format!("{command:?}: {}{}", ended.stdout(), ended.stderr()))
    }

    /// A login whose last refresh was answered is as good as ever; of another there may be doubt, and then alone may its
    /// user have to connect again.
    async fn look_at_login(&self, server: &Process, id: &str, sent: bool) -> Result<(), String> {
        let path = format!("{OF_SANDBOX}/credentials/{id}");
        let shown = self.ask(server, Method::GET, &path).send().await;
        if shown.status != 200 {
            return Err(format!("the login {id}: {}", shown.status));
        }
        let shown = shown.json();
        let doubt = shown["in_doubt_since"].is_i64();
        if doubt && !sent {
            return Err(format!("the login {id} is in doubt, and its last refresh was answered"));
        }
        let refreshed = self.ask(server, Method::POST, &format!("{path}/refresh")).send().await;
        match refreshed.status {
            200 => {
                self.truth().logins.insert(id.to_owned(), false);
                Ok(())
            }
            // Told once and for all before, or now: the next connect makes another.
            409 if doubt || (sent && shown["status"] == "needs_reauth") => {
                self.truth().logins.remove(id);
                Ok(())
            }
            other => Err(format!("the login {id} was lost without a doubt: {other} {}", refreshed.text())),
        }
    }

    /// Problems that SQLite and the vault find in the file, and responses without an audit row.
    fn problems_of_the_file(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let path = self.installation.path("strongroom.db");
        let file = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the vault's file");
        let verdict: String =
            file.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap_or_else(|error| error.to_string());
        if verdict != "ok" {
            problems.push(format!("integrity_check: {verdict}"));
        }
        let sql = "SELECT count(*) FROM audit WHERE request_id = ? AND action = ? AND credential = ?";
        let mut statement = file.prepare(sql).expect("the audit log is there");
        for row in std::mem::take(&mut self.truth().audited) {
            let count: u32 =
                statement.query_row(params_from_iter(&row), |row| row.get(0)).expect("the audit log can be read");
            if count == 0 {
                problems.push(format!("no audit row of an answer: {row:?}"));
            }
        }
        problems
    }
}

impl Truth {
    fn audit(&mut self, reply: &Reply, action: &str, id: &str) {
        let request = reply.header("x-request-id").expect("every answer has one").to_owned();
        self.audited.push([request, action.to_owned(), id.to_owned()]);
    }
}

async fn answered(ask: Ask, status: u16) -> Option<Reply> {
    ask.try_send().await.ok().filter(|reply| reply.status == status)
}

fn any<T: Clone>(of: &BTreeMap<String, T>, chance: &mut Chance) -> Option<(String, T)> {
    if of.is_empty() {
        return None;
    }
    of.iter().nth(chance.index(of.len())).map(|(id, value)| (id.clone(), value.clone()))
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn with_paths<'p>(variables: &'p [(&'static str, std::path::PathBuf)]) -> Vec<(&'p str, &'p Path)> {
    variables.iter().map(|(name, path)| (*name, path.as_path())).collect()
}
