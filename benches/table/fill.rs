//! Vaults of any size: filled through the library, hundreds of writes in one commit.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use strongroom::clock::Clock;
use strongroom::id::{CredentialId, UserId};
use strongroom::random::Random;
use strongroom::secret::Secret;
use strongroom::vault::{AuditContext, CredentialSecret, Exportable, NewCredential, Tokens, Vault};

/// Writes that wait at the same time.
const AT_ONCE: usize = 512;

/// Fifty users with five credentials each, asked in turn.
pub const FIVES: usize = 50;

/// Users whose credentials are asked for, and as many more as the vault is to have, spread over `users`. Gives alice's five.
pub fn fill(vault: &Vault, credentials: usize, users: usize) -> Vec<CredentialId> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let mine = insert(vault, (0..5).map(|_| "alice".to_owned())).await;
        insert(vault, (0..100).map(|_| "hundred".to_owned())).await;
        insert(vault, (0..FIVES * 5).map(|number| format!("five-{}", number / 5))).await;
        let there = 5 + 100 + FIVES * 5;
        insert(vault, (0..credentials.saturating_sub(there)).map(|number| format!("bulk-{}", number % users))).await;
        mine
    })
}

async fn insert(vault: &Vault, users: impl Iterator<Item = String>) -> Vec<CredentialId> {
    let (who, mut ids, mut users) = (AuditContext::command_line(), Vec::new(), users.peekable());
    while users.peek().is_some() {
        let group = users.by_ref().take(AT_ONCE).map(|user| vault.credentials().insert(credential(&user), &who));
        let stored = join_all(group).await;
        ids.extend(stored.into_iter().map(|summary| summary.expect("the vault takes it").id));
    }
    ids
}

/// A connected account as it usually is.
fn credential(user: &str) -> NewCredential {
    let fresh = || Secret::new(format!("{:040x}", u128::from_be_bytes(Random.bytes())));
    let lifetime = Duration::from_secs(30 * 86_400);
    let tokens = Tokens {
        access_token: fresh(),
        refresh_token: Some(fresh()),
        token_type: "Bearer".into(),
        lifetime: Some(lifetime),
        refresh_expires_at: None,
        metadata: BTreeMap::new(),
        renewal: None,
        dpop_key: None,
        redirect_uri: None,
        discovery: None,
        issued_by: None,
        replaced: None,
    };
    NewCredential {
        user: user.parse::<UserId>().expect("a user's id"),
        provider: "sandbox".parse().expect("a provider's name"),
        title: "Octo Cat".into(),
        material: CredentialSecret::OAuth2(tokens),
        scopes: Some(vec!["profile".into(), "email".into(), "repository:read".into()]),
        server: None,
        inputs: None,
        username: Some("octocat@example.com".into()),
        account: Some("583231".into()),
        client_id: Some("sandbox".into()),
        expires_at: Some(Clock::system().now().plus(lifetime)),
        refresh_at: None,
        exportable: Exportable(true),
    }
}
