//! Requests that a person approves.

use super::*;
use crate::id::{ApiKeyId, ApprovalId};

const CREDENTIAL: &str = "0192d3f0-7c3a-7000-8000-00000000000f";

pub(super) fn request(key: ApiKeyId, digest: u8) -> RequestToApprove {
    RequestToApprove {
        key,
        user: user("alice"),
        provider: "github".parse().unwrap(),
        credential: CREDENTIAL.parse().unwrap(),
        grant: CREDENTIAL.parse().unwrap(),
        digest: [digest; 32],
        method: "POST".to_owned(),
        url: "https://api.github.com/repos".to_owned(),
        headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
        body: b"the body of the request".to_vec(),
        body_length: 23,
    }
}

async fn key(vault: &Vault) -> ApiKeyId {
    super::api_keys::make(vault, KeyHolder::User(user("alice"))).await.0.id
}

async fn ask(vault: &Vault, request: RequestToApprove) -> ApprovalAnswer {
    vault.approvals().ask(request, &AuditContext::system()).await.unwrap()
}

/// Asks, and returns the id under which it waits.
pub(super) async fn pending(vault: &Vault, request: RequestToApprove) -> ApprovalId {
    match ask(vault, request).await {
        ApprovalAnswer::Pending(id) => id,
        other => panic!("{other:?}"),
    }
}

async fn decide(vault: &Vault, id: ApprovalId, approve: bool) -> ApprovalDecision {
    vault.approvals().decide(id, approve, &AuditContext::command_line()).await.unwrap()
}

fn listed(vault: &Vault) -> Vec<ApprovalRequest> {
    vault.approvals().list(|_| true, None, 1000).unwrap().approvals
}

#[tokio::test]
async fn approval_counts_once_for_the_same_request() {
    let bench = Bench::new();
    let key = key(&bench.vault).await;
    let id = pending(&bench.vault, request(key, 1)).await;
    assert_eq!(pending(&bench.vault, request(key, 1)).await, id, "the same request has the same id");
    let other = pending(&bench.vault, request(key, 2)).await;
    assert_ne!(other, id);
    assert!(matches!(decide(&bench.beside(), id, true).await, ApprovalDecision::Done(_)));
    assert_eq!(pending(&bench.vault, request(key, 2)).await, other, "another request is not approved");
    assert_eq!(ask(&bench.vault, request(key, 1)).await, ApprovalAnswer::Approved(id));
    assert_ne!(pending(&bench.vault, request(key, 1)).await, id, "it is used up");
    assert_eq!((bench.audited("approval.request"), bench.audited("approval.approve")), (3, 1));
    bench.assert_manifest_holds();
    assert_eq!(bench.vault.integrity().verify().unwrap().findings, []);
}

#[tokio::test]
async fn request_of_another_key_is_not_approved() {
    let bench = Bench::new();
    let (one, two) = (key(&bench.vault).await, key(&bench.vault).await);
    let id = pending(&bench.vault, request(one, 1)).await;
    decide(&bench.vault, id, true).await;
    assert_ne!(pending(&bench.vault, request(two, 1)).await, id);
}

#[tokio::test]
async fn denial_holds_for_an_hour() {
    let bench = Bench::new();
    let key = key(&bench.vault).await;
    let id = pending(&bench.vault, request(key, 1)).await;
    assert!(matches!(decide(&bench.vault, id, false).await, ApprovalDecision::Done(_)));
    assert_eq!(decide(&bench.vault, id, true).await, ApprovalDecision::Decided(ApprovalStatus::Denied));
    for _ in 0..2 {
        assert_eq!(ask(&bench.vault, request(key, 1)).await, ApprovalAnswer::Denied(id));
    }
    bench.clock.advance(Duration::from_secs(3600));
    assert_ne!(pending(&bench.vault, request(key, 1)).await, id);
    assert_eq!(bench.audited("approval.deny"), 1);
    bench.assert_manifest_holds();
}

#[tokio::test]
async fn waiting_ends_after_a_day_and_approval_after_an_hour() {
    let bench = Bench::new();
    let key = key(&bench.vault).await;
    let id = pending(&bench.vault, request(key, 1)).await;
    bench.clock.advance(Duration::from_secs(24 * 3600 - 1));
    assert!(bench.vault.approvals().get(id).unwrap().is_some());
    bench.clock.advance(Duration::from_secs(1));
    assert!(bench.vault.approvals().get(id).unwrap().is_none() && listed(&bench.vault).is_empty());
    assert_eq!(decide(&bench.vault, id, true).await, ApprovalDecision::Absent);
    let again = pending(&bench.vault, request(key, 1)).await;
    assert_ne!(again, id);
    decide(&bench.vault, again, true).await;
    bench.clock.advance(Duration::from_secs(3600));
    assert_ne!(pending(&bench.vault, request(key, 1)).await, again, "the approval has ended");
    bench.clock.advance(Duration::from_secs(24 * 3600));
    assert_eq!(bench.vault.approvals().purge_ended(bench.clock.now()).await.unwrap(), 1);
    bench.assert_manifest_holds();
}

#[tokio::test]
async fn twenty_requests_of_a_key_wait() {
    let bench = Bench::new();
    let (one, two) = (key(&bench.vault).await, key(&bench.vault).await);
    let mut ids = Vec::new();
    for digest in 0..20 {
        ids.push(pending(&bench.vault, request(one, digest)).await);
    }
    assert_eq!(ask(&bench.vault, request(one, 20)).await, ApprovalAnswer::TooMany);
    assert_eq!(pending(&bench.vault, request(one, 7)).await, ids[7], "a known one is answered");
    pending(&bench.vault, request(two, 20)).await;
    decide(&bench.vault, ids[0], false).await;
    pending(&bench.vault, request(one, 20)).await;
    assert_eq!(listed(&bench.vault).len(), 22);
    let page = bench.vault.approvals().list(|key| key == one, Some(ids[3]), 5).unwrap();
    assert_eq!(page.approvals.iter().map(|one| one.id).collect::<Vec<_>>(), ids[4..9]);
    assert!(page.more && page.approvals[0].request.body.is_empty());
}

#[tokio::test]
async fn request_is_sealed_and_its_body_erased_by_the_decision() {
    let bench = Bench::new();
    let key = key(&bench.vault).await;
    let id = pending(&bench.vault, request(key, 1)).await;
    assert_eq!(bench.vault.approvals().get(id).unwrap().unwrap().request, request(key, 1));
    for file in ["v.db", "v.db-wal"] {
        let bytes = std::fs::read(bench.path().with_file_name(file)).unwrap();
        for text in ["the body of the request", "api.github.com/repos"] {
            assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()), "{text} is in {file}");
        }
    }
    decide(&bench.vault, id, true).await;
    let decided = bench.vault.approvals().get(id).unwrap().unwrap();
    assert_eq!(
        (decided.status, decided.request.body.len(), decided.request.body_length),
        (ApprovalStatus::Approved, 0, 23)
    );
}

// A PATCH of the host or the secret, a deletion, a revoked key: what was approved is another thing now.
#[tokio::test]
async fn approvals_end_with_their_key_and_credential() {
    for change in ["delete", "patch", "revoke", "remove user"] {
        let bench = Bench::new();
        let who = AuditContext::command_line();
        let stored = bench.add("alice", "p", api_key("old")).await;
        let key = key(&bench.vault).await;
        let request = RequestToApprove { credential: stored.id, ..request(key, 1) };
        let id = pending(&bench.vault, request).await;
        decide(&bench.vault, id, true).await;
        match change {
            "delete" => drop(bench.delete(&stored, RevocationScope::Never).await),
            "patch" => {
                let secret = SecretUpdate::ApiKey { api_key: Some(Secret::new("new")), expires_at: None, inputs: None };
                let update = CredentialUpdate { title: None, secret: Some(secret), exportable: None };
                bench.vault.credentials().update(&stored.user, &stored.id, update, &who).await.unwrap();
            }
            "revoke" => assert!(bench.vault.api_keys().revoke(key, &who).await.unwrap()),
            _ => {
                let remove = bench.vault.users().remove(&stored.user, |_| RevocationScope::Never, WEEK, &who);
                remove.await.unwrap();
            }
        }
        assert!(bench.vault.approvals().get(id).unwrap().is_none(), "{change}");
        bench.assert_manifest_holds();
    }
}

/// Changes by an attacker, or by a disk, to all approvals. Some rows cannot even be read then.
const DAMAGES: [&str; 9] = [
    "UPDATE approval SET status = 'approved'",
    "UPDATE approval SET expires_at = expires_at + 9999",
    "UPDATE approval SET expires_at = 1",
    "UPDATE approval SET created_at = 0",
    "UPDATE approval SET revision = 3, status = 'approved'",
    "UPDATE approval SET sealed = randomblob(200)",
    "UPDATE approval SET sealed = x'01', data_key = 9",
    "UPDATE approval SET data_key = -1",
    "UPDATE approval SET lookup = CAST(x'ff' AS TEXT)",
];

#[tokio::test]
async fn edited_approval_is_rejected_by_name() {
    for change in DAMAGES.into_iter().chain(["UPDATE approval SET credential = 'x'"]) {
        let bench = Bench::new();
        let key = key(&bench.vault).await;
        let id = pending(&bench.vault, request(key, 1)).await;
        decide(&bench.vault, id, false).await;
        bench.attack(change);
        let other = pending(&bench.vault, request(key, 2)).await;
        assert_ne!(pending(&bench.vault, request(key, 1)).await, id, "{change}");
        let page = bench.vault.approvals().list(|_| true, None, 1000).unwrap();
        assert_eq!((page.approvals.len(), page.damaged.len()), (2, 1), "{change}");
        assert_eq!(page.approvals[0].id, other, "{change}");
        assert!(bench.vault.approvals().get(id).is_err(), "{change}");
        let decided = bench.vault.approvals().decide(id, true, &AuditContext::system()).await;
        assert!(decided.unwrap_err().is_damage(), "{change}");
        // Neither housekeeping nor the answer to a request erases the evidence.
        bench.clock.advance(Duration::from_secs(9 * 86_400));
        assert_eq!(bench.vault.approvals().purge_ended(bench.clock.now()).await.unwrap(), 2, "{change}");
        assert!(!bench.vault.integrity().verify().unwrap().holds(), "{change}");
        let plan = bench.vault.integrity().plan_repair(&AuditContext::system()).await.unwrap();
        assert_eq!(plan.damaged[0].table, "approval", "{change}");
    }
}

// A key must end, and a secret change, whatever state the approvals are in.
#[tokio::test]
async fn damaged_approval_blocks_no_revocation() {
    for change in DAMAGES {
        let bench = Bench::new();
        let who = AuditContext::command_line();
        let [changed, deleted] =
            [bench.add("alice", "p", api_key("1")).await, bench.add("alice", "p", api_key("2")).await];
        let (one, two) = (key(&bench.vault).await, key(&bench.vault).await);
        for (key, credential) in [(one, changed.id), (one, deleted.id), (two, changed.id)] {
            let digest = u8::from(credential == deleted.id);
            pending(&bench.vault, RequestToApprove { credential, ..request(key, digest) }).await;
        }
        bench.attack(change);
        let secret = SecretUpdate::ApiKey { api_key: Some(Secret::new("new")), expires_at: None, inputs: None };
        let update = CredentialUpdate { title: None, secret: Some(secret), exportable: None };
        bench.vault.credentials().update(&changed.user, &changed.id, update, &who).await.expect(change);
        assert!(bench.delete(&deleted, RevocationScope::Never).await.is_some(), "{change}");
        assert!(bench.vault.api_keys().revoke(one, &who).await.expect(change), "{change}");
        bench.vault.users().remove(&changed.user, |_| RevocationScope::Never, WEEK, &who).await.expect(change);
        assert_eq!(bench.vault.api_keys().list().unwrap().len(), 0, "{change}");
    }
}

#[tokio::test]
async fn damaged_requests_count_as_waiting() {
    let bench = Bench::new();
    let key = key(&bench.vault).await;
    for digest in 0..20 {
        pending(&bench.vault, request(key, digest)).await;
    }
    bench.attack("UPDATE approval SET data_key = 9");
    assert_eq!(ask(&bench.vault, request(key, 7)).await, ApprovalAnswer::TooMany);
}

// A batch of damaged rows is read once, and the sound ones behind it are deleted.
#[tokio::test]
async fn purge_goes_on_behind_damaged_rows() {
    let bench = Bench::new();
    for _ in 0..21 {
        let key = key(&bench.vault).await;
        for digest in 0..20 {
            pending(&bench.vault, request(key, digest)).await;
        }
    }
    bench.attack("UPDATE approval SET revision = 2 WHERE id IN (SELECT id FROM approval ORDER BY id LIMIT 400)");
    bench.clock.advance(Duration::from_secs(86_400));
    assert_eq!(bench.vault.approvals().purge_ended(bench.clock.now()).await.unwrap(), 20);
}

// A kill is what another process finds in the file: the taken approval is gone before it is used.
#[tokio::test]
async fn taken_approval_is_gone_for_every_process() {
    let bench = Bench::new();
    let key = key(&bench.vault).await;
    let id = pending(&bench.vault, request(key, 1)).await;
    decide(&bench.vault, id, true).await;
    bench.attack("CREATE TABLE saved AS SELECT * FROM approval");
    assert_eq!(ask(&bench.vault, request(key, 1)).await, ApprovalAnswer::Approved(id));
    assert_eq!(bench.audited("approval.use"), 1);
    let again = pending(&bench.beside(), request(key, 1)).await;
    assert_ne!(again, id);
    bench.attack("INSERT INTO approval SELECT * FROM saved; DROP TABLE saved");
    bench.clock.advance(Duration::from_secs(3599));
    bench.vault.audit().prune(bench.clock.now(), &AuditContext::system()).await.unwrap();
    assert_eq!(pending(&bench.beside(), request(key, 1)).await, again, "a used approval was put back");
    assert!(!bench.vault.integrity().verify().unwrap().holds());
}

// Of a backup it is not known which approvals were used after it.
#[tokio::test]
async fn restore_drops_approvals() {
    let bench = Bench::new();
    let key = key(&bench.vault).await;
    let id = pending(&bench.vault, request(key, 1)).await;
    decide(&bench.vault, id, true).await;
    let restored = bench.restore(&bench.back_up("b"), "r.db", true);
    assert!(restored.approvals().get(id).unwrap().is_none());
    assert_eq!(restored.integrity().verify().unwrap().findings, []);
}

#[tokio::test]
async fn new_root_drops_approvals() {
    let bench = Bench::new();
    let key = key(&bench.vault).await;
    pending(&bench.vault, request(key, 1)).await;
    let new = MasterKey::generate(Random);
    bench.vault.key_slots().renew_root(&bench.key, &new, &AuditContext::command_line()).await.unwrap();
    assert!(listed(&bench.vault).is_empty());
    bench.assert_manifest_holds();
}

#[tokio::test]
async fn pages_are_bounded_in_bytes() {
    let bench = Bench::new();
    let key = key(&bench.vault).await;
    let mut ids = Vec::new();
    for digest in 0..5 {
        let headers = vec![("x".to_owned(), "v".repeat(1 << 20))];
        ids.push(pending(&bench.vault, RequestToApprove { headers, ..request(key, digest) }).await);
    }
    let page = bench.vault.approvals().list(|_| true, None, 1000).unwrap();
    assert!(page.more && page.approvals.len() == 3, "{}", page.approvals.len());
    let rest = bench.vault.approvals().list(|_| true, Some(ids[2]), 1000).unwrap();
    assert!(!rest.more && rest.approvals.len() == 2);
}
