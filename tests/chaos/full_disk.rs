//! A vault that cannot write: 503, the cause in the log alone, and nothing lost.

use std::collections::BTreeSet;

use crate::support::flow::{CALLBACK, acme_like};
use crate::support::http::{Ask, Reply};
use crate::support::process::{Installation, Process};
use http::Method;
use serde_json::json;
use strongroom::clock::Clock;
use strongroom::random::Random;
use strongroom::sandbox::{Conduct, Sandbox, SandboxEndpoint};

fn create(server: &Process, key: &str, bytes: usize) -> impl Future<Output = Reply> + use<> {
    let body = json!({"type": "api_key", "api_key": "k".repeat(bytes), "title": "t"});
    server.ask(Method::POST, "/v1/integrations/openai/credentials").key(key).json(&body).send()
}

/// Creates credentials of that size until one is refused; gives their ids and the refusal.
async fn fill(server: &Process, key: &str, bytes: usize) -> (Vec<String>, Reply) {
    let mut acknowledged = Vec::new();
    loop {
        let reply = create(server, key, bytes).await;
        if reply.status != 201 {
            return (acknowledged, reply.is(503));
        }
        acknowledged.push(reply.json()["id"].as_str().expect("an id").to_owned());
        assert!(acknowledged.len() < 1000, "the disk never fills");
    }
}

/// Changes the title of a credential until there is no room for it: no other write needs less.
async fn change_titles_until_refused(server: &Process, key: &str, id: &str) {
    let path = format!("/v1/integrations/openai/credentials/{id}");
    for _ in 0..1000 {
        let changed = server.ask(Method::PATCH, &path).key(key).json(&json!({"title": "t"})).send().await;
        if changed.status != 200 {
            changed.is(503);
            return;
        }
    }
    panic!("the disk never fills");
}

#[tokio::test]
async fn little_free_disk_is_logged() {
    let installation = Installation::new("ballast = 1").await;
    let Some(server) = installation.serve_on_a_small_disk(3072).await else {
        assert!(!crate::support::in_ci(), "CI has to be able to mount a small disk: nothing is skipped there");
        return eprintln!("skipped: no disk can be mounted here");
    };
    let file = installation.path("disk/filler");
    server.fill(&file, 100);
    for _ in 0..40 {
        if server.log().contains("% of the vault's disk") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    let log = server.log();
    assert_eq!(log.matches("less than 5 % of the vault's disk is free").count(), 1, "{log}");
    assert_eq!(log.matches("less than 10 % of the vault's disk is free").count(), 0, "{log}");
}

#[tokio::test]
async fn full_disk_is_503_and_keeps_what_was_acknowledged() {
    let installation = Installation::new("ballast = 1").await;
    let key = installation.key("alice");
    let Some(server) = installation.serve_on_a_small_disk(4096).await else {
        assert!(
            !crate::support::in_ci(),
            "CI has to be able to mount a small disk (unshare): nothing is skipped there"
        );
        return eprintln!("skipped: no disk can be mounted here");
    };
    let (large, _) = fill(&server, &key, 60_000).await;
    let (small, refused) = fill(&server, &key, 1).await;
    let mut acknowledged: BTreeSet<String> = large.into_iter().chain(small).collect();
    assert_eq!(refused.json()["type"], "/problems/vault-unavailable");
    assert!(
        !refused.text().contains("disk") && server.log().contains("the disk that holds the vault is full"),
        "{}\n{}",
        refused.text(),
        server.log()
    );
    // A good probe counts for a second.
    let not_ready = async || server.ask(Method::GET, "/readyz").send().await.status == 503;
    crate::support::eventually("the server says that it is not ready", not_ready).await;
    assert_eq!(server.listed(&key).await, acknowledged);

    server.remove(&installation.path("disk/filler"));
    let made = create(&server, &key, 60_000).await.is(201).json();
    acknowledged.insert(made["id"].as_str().expect("an id").to_owned());
    assert_eq!(server.listed(&key).await, acknowledged);
}

/// The provider has rotated and answered, and there is no room for what it said, nor anything to be given up for it: it is
/// kept in memory, and stored as soon as there is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refreshed_tokens_survive_a_full_disk() {
    let provider = Sandbox::start(Clock::system(), Random).await.expect("it starts");
    let settings = format!("ballast = 0\n{}", acme_like(&provider, provider.base_url(), ""));
    let installation = Installation::new(&settings).await;
    let key = installation.key("alice");
    let Some(server) = installation.serve_on_a_small_disk(4096).await else {
        assert!(
            !crate::support::in_ci(),
            "CI has to be able to mount a small disk (unshare): nothing is skipped there"
        );
        return eprintln!("skipped: no disk can be mounted here");
    };
    let id = connect_acme(&server, &key).await;
    let path = |rest: &str| format!("/v1/integrations/acme/credentials/{id}{rest}");
    let before = server.ask(Method::GET, &path("/token")).key(&key).send().await.is(200).json();

    let asked = provider.requests(SandboxEndpoint::Token);
    provider.conduct(SandboxEndpoint::Token, Conduct::Held);
    let refresh = tokio::spawn(server.ask(Method::POST, &path("/refresh")).key(&key).send());
    crate::support::eventually("the provider has rotated", async || provider.requests(SandboxEndpoint::Token) > asked)
        .await;
    fill(&server, &key, 60_000).await;
    let (small, _) = fill(&server, &key, 1).await;
    change_titles_until_refused(&server, &key, small.last().expect("a small credential")).await;
    provider.conduct(SandboxEndpoint::Token, Conduct::Normal);
    let refused = refresh.await.expect("no panic").is(503);
    assert_eq!(refused.json()["type"], "/problems/vault-unavailable");
    server.ask(Method::POST, &path("/refresh")).key(&key).send().await.is(503);
    assert_eq!(provider.requests(SandboxEndpoint::Token), asked + 1, "nothing is sent that could not be stored");

    server.remove(&installation.path("disk/filler"));
    let fresh = async || {
        let reply = server.ask(Method::GET, &path("/token")).key(&key).send().await;
        reply.status == 200 && reply.json()["access_token"] != before["access_token"]
    };
    crate::support::eventually("the tokens are stored", fresh).await;
    server.ask(Method::POST, &path("/refresh")).key(&key).send().await.is(200);
    assert_eq!(provider.live_grants(), 1);
}

/// An account of the sandbox, connected by both halves of the code flow.
async fn connect_acme(server: &Process, key: &str) -> String {
    let post = |path: &str, body: serde_json::Value| {
        server.ask(Method::POST, &format!("/v1/integrations/acme/oauth/{path}")).key(key).json(&body).send()
    };
    let started = post("initiate", json!({"callback_url": CALLBACK})).await.is(200).json();
    let url = format!("{}&sandbox_decision=approve", started["login_url"].as_str().expect("a URL"));
    let redirect = Ask::new(Method::GET, url).send().await.is(303);
    let target = url::Url::parse(redirect.header("Location").expect("a redirect")).expect("a URL");
    let code = target.query_pairs().find(|(name, _)| name == "code").expect("a code").1.into_owned();
    let completed = post("complete", json!({"code": code, "state_token": started["state_token"]})).await.is(200).json();
    completed["credentials_id"].as_str().expect("an id").to_owned()
}

/// With something to give up there is room for it: the caller has the answer, although nothing else is taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ballast_is_released_for_refreshed_tokens() {
    let provider = crate::support::process::sandbox().await;
    let installation =
        Installation::new(&format!("ballast = 1\n{}", acme_like(&provider, provider.base_url(), ""))).await;
    let key = installation.key("alice");
    let Some(server) = installation.serve_on_a_small_disk(4096).await else {
        assert!(
            !crate::support::in_ci(),
            "CI has to be able to mount a small disk (unshare): nothing is skipped there"
        );
        return eprintln!("skipped: no disk can be mounted here");
    };
    let id = connect_acme(&server, &key).await;
    let path = format!("/v1/integrations/acme/credentials/{id}/refresh");
    let asked = provider.requests(SandboxEndpoint::Token);
    provider.conduct(SandboxEndpoint::Token, Conduct::Held);
    let refresh = tokio::spawn(server.ask(Method::POST, &path).key(&key).send());
    crate::support::eventually("the provider has rotated", async || provider.requests(SandboxEndpoint::Token) > asked)
        .await;
    let small = create(&server, &key, 1).await.is(201).json()["id"].as_str().expect("an id").to_owned();
    fill(&server, &key, 60_000).await;
    // Perhaps none: the room that is left depends on the pages of the file.
    fill(&server, &key, 1).await;
    change_titles_until_refused(&server, &key, &small).await;
    provider.conduct(SandboxEndpoint::Token, Conduct::Normal);
    refresh.await.expect("no panic").is(200);
    create(&server, &key, 1).await.is(503);
}

/// Properties that hold at every level of a full disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn urgent_writes_succeed_at_every_level_of_a_full_disk() {
    let levels = u64::from(crate::support::campaign(4, 6, 20));
    let mut given_up = 0;
    for level in 0..levels {
        let leaving_kib = level * 600 / levels;
        let Some(level) = Level::begin(leaving_kib).await else {
            assert!(
                !crate::support::in_ci(),
                "CI has to be able to mount a small disk (unshare): nothing is skipped there"
            );
            return eprintln!("skipped: no disk can be mounted here");
        };
        given_up += u64::from(level.play().await);
    }
    assert!(given_up > 0, "the disk was never so full that the ballast had to go");
    println!("{levels} levels, at {given_up} of them the ballast was given up");
}

/// One server on a disk that has so much room left.
struct Level {
    leaving_kib: u64,
    installation: Installation,
    provider: Sandbox,
    server: Process,
    key: String,
    account: String,
    /// A key that is there to be revoked: its id, and itself.
    spare: (String, String),
    /// Credentials that are there to be read and deleted.
    kept: Vec<String>,
}

impl Level {
    async fn begin(leaving_kib: u64) -> Option<Self> {
        let provider = crate::support::process::sandbox().await;
        let settings = format!("ballast = 1\n{}", acme_like(&provider, provider.base_url(), ""));
        let installation = Installation::new(&settings).await;
        let key = installation.key("alice");
        let spare = ["key", "create", "--user", "alice", "--permission", "READ_INTEGRATIONS", "--json"];
        let spare = installation.run(&spare).must_succeed().json();
        let spare = ["id", "api_key"].map(|part| spare[part].as_str().expect("a text").to_owned()).into();
        let server = installation.serve_on_a_small_disk(8192).await?;
        let account = connect_acme(&server, &key).await;
        let mut kept = Vec::new();
        for _ in 0..12 {
            kept.push(create(&server, &key, 1).await.is(201).json()["id"].as_str().expect("an id").to_owned());
        }
        server.fill(&installation.path("disk/filler"), leaving_kib);
        Some(Self { leaving_kib, installation, provider, server, key, account, spare, kept })
    }

    fn token(&self, id: &str) -> impl Future<Output = Reply> + use<> {
        let path = format!("/v1/integrations/openai/credentials/{id}/token");
        self.server.ask(Method::GET, &path).key(&self.key).send()
    }

    fn delete(&self, id: &str) -> impl Future<Output = Reply> + use<> {
        let path = format!("/v1/integrations/openai/credentials/{id}");
        self.server.ask(Method::DELETE, &path).key(&self.key).send()
    }

    /// Fills the disk up, does what cannot wait, makes room; gives whether the ballast had to go.
    async fn play(mut self) -> bool {
        let (large, _) = fill(&self.server, &self.key, 60_000).await;
        let (small, _) = fill(&self.server, &self.key, 1).await;
        let mut there: BTreeSet<String> = large.into_iter().chain(small).chain(self.kept.iter().cloned()).collect();
        there.insert(self.account.clone());
        let mut read = 0;
        self.burst(&mut there, &mut read).await;
        let ballast = self.server.sees(&self.installation.path("disk/strongroom.db.ballast"));
        for _ in 0..200 {
            if !ballast.exists() {
                break;
            }
            self.token(&self.kept[0]).await.is(200);
            read += 1;
        }
        let given_up = !ballast.exists();
        self.refresh(given_up).await;
        let revoke = ["--vault", "disk/strongroom.db", "key", "revoke", &self.spare.0];
        self.server.run_beside(self.installation.folder.path(), &revoke).must_succeed();
        self.server.ask(Method::GET, "/v1/integrations/credentials").key(&self.spare.1).send().await.is(401);
        assert_eq!(self.server.listed(&self.key).await, there, "{} KiB", self.leaving_kib);

        self.server.remove(&self.installation.path("disk/filler"));
        crate::support::eventually("writes go on", async || create_one(&self.server, &self.key, &mut there).await)
            .await;
        assert!(ballast.exists(), "{} KiB", self.leaving_kib);
        assert_eq!(self.server.listed(&self.key).await, there, "{} KiB", self.leaving_kib);
        self.look_at_a_copy(read, &there);
        given_up
    }

    /// Reads, deletions and writes at one time, which share groups: those that cannot wait all succeed.
    async fn burst(&mut self, there: &mut BTreeSet<String>, read: &mut u32) {
        let deleted = self.kept.split_off(6);
        let mut reads = Vec::new();
        let mut deletions = Vec::new();
        let mut creations = Vec::new();
        for id in &deleted {
            creations.push(tokio::spawn(create(&self.server, &self.key, 1)));
            reads.push(tokio::spawn(self.token(&self.kept[reads.len()])));
            deletions.push(tokio::spawn(self.delete(id)));
        }
        for reply in reads {
            reply.await.expect("no panic").is(200);
            *read += 1;
        }
        for reply in deletions {
            reply.await.expect("no panic").is(200);
        }
        for reply in creations {
            let reply = reply.await.expect("no panic");
            match reply.status {
                201 => assert!(there.insert(reply.json()["id"].as_str().expect("an id").to_owned())),
                status => assert_eq!(status, 503, "{}", reply.text()),
            }
        }
        for id in deleted {
            assert!(there.remove(&id));
        }
    }

    /// The provider is asked only where what it answers can be stored, and the caller is told the truth.
    async fn refresh(&self, given_up: bool) {
        let asked = self.provider.requests(SandboxEndpoint::Token);
        let path = format!("/v1/integrations/acme/credentials/{}/refresh", self.account);
        let reply = self.server.ask(Method::POST, &path).key(&self.key).send().await;
        let sent = self.provider.requests(SandboxEndpoint::Token) - asked;
        let told = (reply.status, sent);
        assert!(told == (503, 0) || (told == (200, 1) && !given_up), "{} KiB: {told:?}", self.leaving_kib);
        assert_eq!(self.provider.live_grants(), 1);
    }

    /// The files as they are now, opened elsewhere: everything is in them, and an audit row for every secret that was read.
    fn look_at_a_copy(&self, read: u32, there: &BTreeSet<String>) {
        let copy = self.installation.path("copy");
        std::fs::create_dir(&copy).expect("a folder");
        for file in ["strongroom.db", "strongroom.db-wal"] {
            let from = self.server.sees(&self.installation.path("disk").join(file));
            std::fs::copy(from, copy.join(file)).expect("it can be copied");
        }
        let list = ["--vault", "copy/strongroom.db", "credential", "list", "--json"];
        let list = self.installation.run(&list).must_succeed().json();
        let ids = list.as_array().expect("a list").iter().map(|item| item["id"].as_str().expect("an id").to_owned());
        assert_eq!(&ids.collect::<BTreeSet<_>>(), there, "{} KiB", self.leaving_kib);
        let file = rusqlite::Connection::open(copy.join("strongroom.db")).expect("the copy");
        let sql = "SELECT count(*) FROM audit WHERE action = 'credential.read'";
        let audited: u32 = file.query_row(sql, [], |row| row.get(0)).expect("the audit log can be read");
        assert_eq!(audited, read, "{} KiB", self.leaving_kib);
        let sound: String = file.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("it can be checked");
        assert_eq!(sound, "ok");
    }
}

/// Returns true if a write was accepted, and adds what it created to `there`.
async fn create_one(server: &Process, key: &str, there: &mut BTreeSet<String>) -> bool {
    let reply = create(server, key, 1).await;
    reply.status == 201 && there.insert(reply.json()["id"].as_str().expect("an id").to_owned())
}
