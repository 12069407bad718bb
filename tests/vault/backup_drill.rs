//! A restore drill: a second vault, restored from a backup, contacts no provider before a request needs it, and
//! the first one's grants live on.

use std::path::Path;
use std::time::Duration;

use crate::support::flow::acme_like;
use crate::support::process::Installation;
use crate::support::{Server, Setup};
use serde_json::Value;
use strongroom::clock::{Clock, UnixTime};
use strongroom::random::Random;
use strongroom::sandbox::{Conduct, Sandbox, SandboxEndpoint};
use strongroom::vault::{AuditContext, BackupSource, BackupStop, Existing, MasterKey, OpenMode, Restorer, Vault};

/// Long enough for every token to be due, and short enough for none to have ended.
const DUE: Duration = Duration::from_secs(3_400);

/// A provider, the vault that lives, and what the drill needs.
struct Scene {
    provider: Sandbox,
    live: Server,
    key: MasterKey,
    clock: Clock,
    folder: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let clock = Clock::manual(UnixTime(1_800_000_000));
        let provider = Sandbox::start(clock.clone(), Random).await.unwrap();
        let (folder, key) = (tempfile::tempdir().unwrap(), MasterKey::generate(Random));
        let vault = Vault::create(&folder.path().join("live.db"), &key, clock.clone(), Random).unwrap();
        let live = serve(&provider, vault, &clock).await;
        Self { provider, live, key, clock, folder }
    }

    fn back_up(&self) -> std::path::PathBuf {
        let path = self.folder.path().join("b.backup");
        self.live.vault.backups().write(&path, Existing::Replace, &BackupStop::default()).unwrap();
        path
    }

    /// The second machine.
    async fn drill(&self, backup: &Path) -> Server {
        let target = self.folder.path().join("drill.db");
        let with = Restorer { master: &self.key, clock: self.clock.clone(), random: Random };
        with.restore(BackupSource::open(backup).unwrap(), &target, false, &AuditContext::command_line()).unwrap();
        let vault = Vault::open(&target, &self.key, OpenMode::Server, self.clock.clone(), Random).unwrap();
        serve(&self.provider, vault, &self.clock).await
    }

    /// Everything that was ever asked of the provider.
    fn asked(&self) -> (u64, u64) {
        (self.provider.requests(SandboxEndpoint::Token), self.provider.requests(SandboxEndpoint::Revoke))
    }
}

async fn serve(provider: &Sandbox, vault: Vault, clock: &Clock) -> Server {
    let config = acme_like(provider, provider.base_url(), "");
    Server::with(Setup { config, vault: Some(vault), clock: Some(clock.clone()), ..Setup::default() }).await
}

async fn shown(server: &Server, id: &str) -> Value {
    let path = format!("/v1/integrations/acme/credentials/{id}");
    server.get(&path).key(&server.key).send().await.is(200).json()
}

// docs/standards.md: 59.
#[tokio::test]
async fn restored_vault_contacts_no_provider_unasked() {
    let scene = Scene::new().await;
    let (one, two) = (scene.live.connect("acme").await, scene.live.connect("acme").await);
    let backup = scene.back_up();
    let drill = scene.drill(&backup).await;
    let (before, grants) = (scene.asked(), scene.provider.live_grants());

    scene.clock.advance(DUE);
    assert_eq!(drill.broker.refresh_due().await.unwrap(), 0);
    drill.broker.housekeeping_round().await;
    assert_eq!(scene.asked(), before, "due, and left alone");
    assert_eq!(shown(&drill, &one).await["may_be_stale"], true);
    assert_eq!(shown(&scene.live, &one).await["may_be_stale"], false);
    let token = format!("/v1/integrations/acme/credentials/{one}/token?min_ttl=0");
    drill.get(&token).key(&drill.key).send().await.is(200);
    assert_eq!(scene.asked(), before, "a token that has not ended is given out as it is");

    assert_eq!(scene.live.broker.refresh_due().await.unwrap(), 2, "the one that lives goes on");
    assert_eq!(scene.provider.live_grants(), grants);
    let asked = scene.asked();

    // Asked for, the one credential is tried, and no other: its token was used up, and that is said.
    let path = format!("/v1/integrations/acme/credentials/{two}/refresh");
    let refused = drill.post(&path).key(&drill.key).send().await.is(409);
    assert_eq!(refused.json()["type"], "/problems/needs-reauth");
    assert_eq!(scene.asked(), (asked.0 + 1, asked.1), "one request, for the one that was asked for");
    assert_eq!(shown(&scene.live, &one).await["status"], "active");
    scene.clock.advance(DUE);
    scene.live.broker.refresh_due().await.unwrap();
    assert_eq!(shown(&scene.live, &one).await["status"], "active", "its grant is alive");
}

// docs/standards.md: 59.
#[tokio::test]
async fn restored_revocation_queue_waits_for_promotion() {
    let scene = Scene::new().await;
    let one = scene.live.connect("acme").await;
    scene.provider.conduct(SandboxEndpoint::Revoke, Conduct::Down);
    let path = format!("/v1/integrations/acme/credentials/{one}");
    let deleted = scene.live.delete(&path).key(&scene.live.key).send().await.is(200).json();
    assert_eq!(deleted["revoked"], false);
    scene.provider.conduct(SandboxEndpoint::Revoke, Conduct::Normal);
    let two = scene.live.connect("acme").await;
    let drill = scene.drill(&scene.back_up()).await;
    let before = scene.asked();

    scene.clock.advance(Duration::from_secs(600));
    drill.broker.housekeeping_round().await;
    assert!(drill.broker.retry_all_revocations(&AuditContext::command_line()).await.is_err(), "not even at will");
    let path = format!("/v1/integrations/acme/credentials/{two}");
    let deleted = drill.delete(&path).key(&drill.key).send().await.is(200).json();
    assert_eq!((&deleted["deleted"], &deleted["revoked"]), (&true.into(), &false.into()));
    assert_eq!(scene.asked(), before, "the live one's grant is not revoked by a drill");

    assert!(drill.vault.standby().promote(&AuditContext::command_line()).await.unwrap());
    scene.clock.advance(Duration::from_secs(24 * 3_600));
    drill.broker.housekeeping_round().await;
    assert_eq!(scene.asked().1, before.1 + 4, "both tokens of both are revoked by the one that lives now");
}

// docs/standards.md: 59.
#[tokio::test]
async fn promoted_vault_refreshes_ahead_again() {
    let scene = Scene::new().await;
    let id = scene.live.connect("acme").await;
    let drill = scene.drill(&scene.back_up()).await;
    scene.clock.advance(DUE);
    assert_eq!(drill.broker.refresh_due().await.unwrap(), 0);
    drill.vault.standby().promote(&AuditContext::command_line()).await.unwrap();
    assert_eq!(drill.broker.refresh_due().await.unwrap(), 1);
    assert_eq!(shown(&drill, &id).await["may_be_stale"], false);
}

#[tokio::test]
async fn restored_vault_says_that_it_is_not_promoted() {
    let installation = Installation::new("").await;
    installation.key("alice");
    installation.run(&["vault", "backup", "b"]).must_succeed();
    installation.run(&["vault", "restore", "b", "--vault", "r.db"]).must_succeed();
    let status = || installation.run(&["vault", "status", "--json", "--vault", "r.db"]).must_succeed().json();
    assert!(status()["unpromoted_restore"]["backup_at"].is_i64());
    let doctor = installation.run(&["doctor", "--vault", "r.db"]).stdout();
    assert!(doctor.contains("restored at") && doctor.contains("vault promote"), "{doctor}");

    let mut serving = installation.start(&["serve", "--vault", "r.db"], &[]);
    serving.says("restored from a backup");
    drop(serving);
    let mut serving = installation.start(&["serve", "--vault", "r.db", "--promote"], &[]);
    serving.says("is now in service");
    drop(serving);
    assert!(status()["unpromoted_restore"].is_null());
    let again = installation.run(&["vault", "promote", "--vault", "r.db"]).must_succeed().stdout();
    assert!(again.contains("nothing was changed"), "{again}");
    let audit = installation.run(&["audit", "list", "--vault", "r.db"]).must_succeed().stdout();
    assert!(audit.contains("vault.restore") && audit.contains("vault.promote"), "{audit}");
}
