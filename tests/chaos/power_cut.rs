//! Power cuts: the disk keeps what was synced, and of the rest nothing, or some sectors by chance. Every acknowledged write
//! is there, what was deleted stays deleted, and the audit log covers every answer.

use std::collections::BTreeMap;

use crate::support::chance::Chance;
use crate::support::disk::{Call, Event, Unsynced};
use crate::support::world::{BACKUP, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_survive_a_power_cut() {
    let world = World::new().await;
    let mut places: BTreeMap<String, u32> = BTreeMap::new();
    for cycle in 0..u64::from(crate::support::campaign(4, 25, 240)) {
        let (place, problems) = cut_once(&world, cycle).await;
        assert!(problems.is_empty(), "cycle {cycle}, cut at {place}: {problems:#?}");
        *places.entry(place).or_default() += 1;
    }
    assert!(world.promises() > 50, "the cycles have to get something through to show anything: {}", world.promises());
    let seen = |call: &str| places.keys().any(|place| place == call);
    assert!(seen("write strongroom.db"), "a cut has to fall into a checkpoint: {places:?}");
    // For the record of a campaign.
    println!("{} acknowledged; cut at {places:#?}", world.promises());
}

// Proves that the test above can fail: on a disk that ignores syncs of the WAL, the same cycles lose acknowledged writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_syncs_lose_acknowledged_writes() {
    let mut world = World::new().await;
    world.disk.ignores_syncs_of = "strongroom.db-wal";
    for cycle in 0..10 {
        let (place, problems) = cut_once(&world, cycle).await;
        let lost = problems.iter().filter(|problem| problem.ends_with("is lost")).count();
        if lost > 0 {
            println!("syncs dropped: {lost} of {} acknowledged lost, cut at {place}", world.promises());
            return;
        }
    }
    panic!("ten power cuts on a disk that ignores syncs, and no loss was found");
}

/// Commands beside the server, by the number of the cycle modulo eight.
const BESIDE: &[(u64, &[&str])] = &[
    (0, &["vault", "backup", BACKUP, "--force"]),
    (1, &["vault", "rotate"]),
    (4, &["vault", "rekey"]),
    (5, &["vault", "rotate"]),
    (6, &["vault", "backup", BACKUP, "--force"]),
];

/// Starts the server, cuts the power at some call of it; says at which, and what does not hold afterwards.
async fn cut_once(world: &World, cycle: u64) -> (String, Vec<String>) {
    let mut chance = Chance::new(cycle);
    let event = if chance.below(2) == 0 { Event::Before } else { Event::After };
    let kind = cycle % 8;
    let arm = |file, count: u64| world.disk.arm(event, &Call::ALL, file, u32::try_from(count).expect("a small number"));
    // One in eight falls into the start, one into a checkpoint, the others anywhere.
    if kind == 7 {
        arm("", 1 + chance.below(12));
    }
    if let Ok(server) = world.serve().await {
        if !world.disk.disarm() {
            match kind {
                3 => arm("strongroom.db", 1 + chance.below(40)),
                _ => arm("", 1 + chance.below(1_500)),
            }
            let mut beside = BESIDE.iter().find(|(at, _)| *at == kind).map(|(_, command)| world.begin(command));
            world.work(&server, cycle, 10_000).await;
            if let Some(command) = &mut beside {
                command.wait().unwrap();
            }
        }
        server.end().await;
    }
    let place = world.disk.call();
    world.disk.power_up(if cycle.is_multiple_of(2) { Unsynced::Lost } else { Unsynced::Torn(cycle) });
    let server = match world.serve_again().await {
        Ok(server) => server,
        Err(problem) => return (place, vec![problem]),
    };
    let problems = world.problems(&server).await;
    server.kill();
    (place, problems)
}
