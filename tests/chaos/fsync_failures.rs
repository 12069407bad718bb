//! Syncs that fail, each of the first fifty, once and for ever: no acknowledged write is lost. Where the outcome of a commit is
//! unknown the process ends cleanly, and the next start knows the truth, whether the power goes in between, or later, or not
//! at all. What a sync that failed should have written no later one writes: so does Linux.

use std::collections::BTreeMap;

use crate::support::disk::{Call, Event, Unsynced};
use crate::support::world::World;

/// Reaction of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Took {
    /// It did not start, and said why.
    NotStarted,
    /// It exited and said what to do.
    Ended,
    /// Nothing was in doubt: it goes on.
    GoesOn,
}

/// Time of the power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Power {
    Stays,
    /// Before the next start.
    Goes,
    /// After more writes were acknowledged.
    GoesLater,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_sync_loses_nothing_acknowledged() {
    let world = World::new().await;
    let step = usize::try_from(crate::support::campaign(25, 8, 1)).unwrap();
    let mut seen: BTreeMap<(Event, Took), u32> = BTreeMap::new();
    for (number, event) in [Event::Fails, Event::FailsForEver].into_iter().enumerate() {
        for call in (1 + number * (step / 2)..=50).step_by(step) {
            for power in [Power::Stays, Power::Goes, Power::GoesLater] {
                let took = fail_at(&world, event, u32::try_from(call).unwrap()).await;
                let case = format!("{event:?} at sync {call} ({}), {took:?}, power: {power:?}", world.disk.call());
                *seen.entry((event, took)).or_default() += 1;
                world.disk.disarm();
                if power == Power::GoesLater {
                    // The vault is not opened before, because opening and closing it repairs the log.
                    let server = world.serve().await.unwrap();
                    // A credential whose refresh was interrupted may need a new login. All others continue.
                    let before = world.promises();
                    world.work(&server, u64::try_from(call).unwrap(), 5).await;
                    assert!(world.promises() > before, "{case}: it does not go on");
                    server.kill();
                }
                if power != Power::Stays {
                    world.disk.power_up(Unsynced::Lost);
                }
                let server = world.serve().await.unwrap();
                let problems = world.problems(&server).await;
                assert!(problems.is_empty(), "{case}: {problems:#?}");
                server.kill();
                world.disk.settle();
            }
        }
    }
    println!("{} acknowledged; {seen:?}", world.promises());
    assert!(seen.keys().any(|(_, took)| *took == Took::Ended), "no commit failed: {seen:?}");
}

/// Works while the sync of that number fails.
async fn fail_at(world: &World, event: Event, call: u32) -> Took {
    let before = world.installation.log_length();
    let said = || world.installation.log_since(before);
    world.disk.arm(event, &[Call::Sync, Call::SyncFolder], "", call);
    let server = match world.serve().await {
        Ok(server) => server,
        Err(status) => {
            assert_eq!(status.code(), Some(1), "{}", said());
            assert!(said().contains("error: ") && !said().contains("panicked"), "{}", said());
            return Took::NotStarted;
        }
    };
    let all_done = world.work(&server, u64::from(call), 60).await;
    assert!(world.disk.fired() > 0, "the work was over before sync {call}");
    // Either it did not notice and stops on request, or it exited with the code of a failure.
    let (took, status) = if all_done { (Took::GoesOn, server.stop()) } else { (Took::Ended, server.end().await) };
    assert_eq!(status.code(), Some(i32::from(!all_done)), "{}", said());
    assert!(!said().contains("panicked"), "{}", said());
    if took == Took::Ended {
        assert!(said().contains("its outcome is unknown") && said().contains("restart the server"), "{}", said());
    }
    took
}
