//! Every OAuth entry of the catalogue against a server that takes the provider's part and refuses whatever does not keep
//! what the entry says: authorize, exchange, identity, refresh, revoke, through the running program. And the proof that
//! this can fail: a client that goes by a changed entry does not get through.

#![allow(unreachable_pub, reason = "what the modules of a test share")]
#![expect(clippy::unwrap_used, reason = "a test that gets what it does not expect has failed")]

#[path = "../support/emulator/mod.rs"]
mod emulator;
#[path = "../support/mod.rs"]
mod support;

mod mutations;
mod trial;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use strongroom::catalog::{Catalog, Provider};
use tokio::task::JoinSet;

use crate::support::{Server, campaign};
use trial::{Bench, Trial};

/// Flows that are under way at once.
const AT_ONCE: usize = 24;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_vocabulary_key_is_honoured() {
    let (mut bench, entries) = (Bench::new(), words::entries());
    let mut changes = 0;
    for provider in &entries {
        bench.add_own(provider).await;
        for mutation in mutations::of(provider) {
            bench.add_changed(provider, &mutation).await;
            changes += 1;
        }
    }
    let ended = run(bench).await;
    assert_eq!(ended.len(), entries.len() + changes);
    let own = |name: &str| entries.iter().any(|provider| provider.name.as_str() == name);
    let told = |(name, outcome): (&String, &Result<(), String>)| match outcome {
        Err(why) if own(name) => Some(format!("{name}: {why}")),
        Ok(()) if !own(name) => Some(format!("{name}: went unseen")),
        _ => None,
    };
    let wrong: Vec<_> = ended.iter().filter_map(told).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), ended.len(), wrong.join("\n"));
}

/// Changes tried in every entry. All others are tried in one of eight entries, in CI one of four, in a full campaign all.
const ALWAYS: [&str; 2] = ["scope_separator", "token_auth"];

/// Entries, with all their changes, of one server.
const PROVIDERS_A_SERVER: usize = 8;

/// Every provider of the catalogue with OAuth.
fn providers() -> Vec<Provider> {
    let catalog = Catalog::build([]).unwrap_or_else(|faults| panic!("{faults}"));
    catalog.iter().filter(|provider| provider.entry.oauth.is_some()).cloned().collect()
}

/// Runs all trials; gives how each ended, by its name.
async fn run(bench: Bench) -> BTreeMap<String, Result<(), String>> {
    let (server, trials) = bench.start().await;
    let server: Arc<Server> = Arc::new(server);
    let (mut running, mut ended) = (JoinSet::new(), BTreeMap::new());
    let mut waiting = trials.into_iter();
    loop {
        while running.len() < AT_ONCE
            && let Some(trial) = waiting.next()
        {
            let server = Arc::clone(&server);
            running.spawn(async move {
                let outcome = trial.run(&server).await;
                (trial, outcome)
            });
        }
        let Some(joined) = running.join_next().await else { return ended };
        let (trial, outcome): (Trial, _) = joined.unwrap();
        assert!(ended.insert(trial.name.clone(), outcome).is_none(), "{} ran twice", trial.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_oauth_entry_passes_a_strict_server() {
    let mut bench = Bench::new();
    let providers = providers();
    for provider in &providers {
        bench.add(provider).await;
    }
    let ended = run(bench).await;
    assert_eq!(ended.len(), providers.len());
    let failed: Vec<_> =
        ended.iter().filter_map(|(name, outcome)| Some(format!("{name}: {}", outcome.as_ref().err()?))).collect();
    assert!(failed.is_empty(), "{} of {} entries:\n{}", failed.len(), ended.len(), failed.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_changed_quirk_is_noticed() {
    let providers = providers();
    let (mut classes, mut ended): (BTreeMap<&str, usize>, BTreeMap<_, _>) = Default::default();
    for some in providers.chunks(PROVIDERS_A_SERVER) {
        let mut bench = Bench::new();
        for (i, provider) in some.iter().enumerate() {
            let all = u32::try_from(i).unwrap().is_multiple_of(campaign(8, 4, 1));
            for mutation in mutations::of(provider).into_iter().filter(|m| all || ALWAYS.contains(&m.class)) {
                *classes.entry(mutation.class).or_default() += 1;
                bench.add_changed(provider, &mutation).await;
            }
        }
        ended.extend(run(bench).await);
    }
    // Every entry authenticates, or declares that no client does: another way always exists.
    assert_eq!(classes["token_auth"], providers.len() * 4);
    assert!(classes["scope_separator"] > providers.len() / 2, "{classes:?}");
    let unseen: Vec<_> = ended.iter().filter(|(_, outcome)| outcome.is_ok()).map(|(name, _)| name.as_str()).collect();
    assert!(unseen.is_empty(), "{} of {} changes went unseen:\n{}", unseen.len(), ended.len(), unseen.join("\n"));
}
