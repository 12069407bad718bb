//! kill -9 at named points: before and after each kind of call that an operation makes on the vault's files. The points are
//! found by watching the operation once, so one that learns to do more has more of them.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::chance::Chance;
use crate::support::disk::{Call, Event, Unsynced};
use crate::support::process::Process;
use crate::support::world::{Act, BACKUP, Told, World};

/// The operation that is killed.
#[derive(Clone, Copy)]
enum Operation {
    /// The server starts after it was killed before.
    Start,
    /// A caller's request.
    Request(&'static str, Act),
    /// The request in which the log of SQLite becomes so long that it goes into the database.
    Checkpoint,
    /// The server is asked to stop.
    Stop,
    /// A command beside the server.
    Command(&'static str, &'static [&'static str]),
    /// A command that wants no server.
    Alone(&'static str, &'static [&'static str]),
}

/// Stands for a name that is not there yet.
const NEW: &str = "NEW";

/// Every operation that changes files. A new one is a line here.
const OPERATIONS: &[Operation] = &[
    Operation::Start,
    Operation::Request("create", Act::Create),
    Operation::Request("read a secret", Act::Read),
    Operation::Request("delete", Act::Delete),
    Operation::Request("connect", Act::Connect),
    Operation::Request("refresh", Act::Refresh),
    Operation::Checkpoint,
    Operation::Stop,
    Operation::Command("create a user", &["user", "add", NEW]),
    Operation::Command("create an API key", &["key", "create", "--user", "alice", "--permission", "READ_INTEGRATIONS"]),
    Operation::Command("rotate", &["vault", "rotate"]),
    Operation::Command("rekey", &["vault", "rekey"]),
    Operation::Command("backup", &["vault", "backup", BACKUP, "--force"]),
    Operation::Alone("rekey, compromised", &["vault", "rekey", "--compromised"]),
    Operation::Alone("restore", &["--vault", RESTORED, "vault", "restore", BACKUP]),
];

/// Path of the restored vault.
const RESTORED: &str = "restored.db";

/// The call at which it is killed: a number among the calls of this kind on this file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    event: Event,
    call: Call,
    file: String,
    /// Of the first call, this is 1.
    number: u32,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Checkpoint => "checkpoint",
            Self::Stop => "stop",
            Self::Request(name, _) | Self::Command(name, _) | Self::Alone(name, _) => name,
        }
    }

    /// Does it, to its end or to its death; gives the server, dead or alive.
    async fn run(self, world: &World, server: Option<Process>) -> Option<Process> {
        let mut chance = Chance::new(world.promises());
        match (self, &server) {
            (Self::Request(_, act), Some(server)) => {
                for _ in 0..5 {
                    if world.act(server, act, &mut chance).await != Told::Nothing {
                        break;
                    }
                }
            }
            (Self::Checkpoint, Some(server)) => {
                for _ in 0..500 {
                    let told = world.act(server, Act::Create, &mut chance).await;
                    if told != Told::Done || world.disk.has_traced("sync strongroom.db") {
                        break;
                    }
                }
            }
            (Self::Command(_, arguments) | Self::Alone(_, arguments), _) => {
                let fresh = format!("u{}", chance.next());
                let arguments = arguments.iter().map(|argument| if *argument == NEW { &fresh } else { *argument });
                world.run(&arguments.collect::<Vec<_>>());
            }
            (Self::Stop, _) => {
                server.unwrap().stop();
                return None;
            }
            (Self::Start | Self::Request(..) | Self::Checkpoint, _) => return world.serve().await.ok(),
        }
        server
    }

    /// The points of it, as one run of it shows them.
    async fn points(self, world: &World) -> Vec<Point> {
        let server = self.prepare(world).await;
        world.disk.begin_trace();
        let server = self.run(world, server).await;
        let trace = world.disk.end_trace();
        server.map(Process::stop);
        world.disk.settle();
        spread(points(&trace, matches!(self, Self::Checkpoint)))
    }

    /// The server that it needs, on a vault whose server was stopped; for a start, a vault whose server was killed.
    async fn prepare(self, world: &World) -> Option<Process> {
        let server = world.serve().await.unwrap();
        match self {
            Self::Start => {
                world.act(&server, Act::Create, &mut Chance::new(0)).await;
                server.kill();
                None
            }
            Self::Alone(..) => {
                server.stop();
                forget_restored(world);
                world.run(&["vault", "backup", BACKUP, "--force"]).must_succeed();
                world.disk.settle();
                None
            }
            _ => Some(server),
        }
    }
}

/// Before and after each call of a trace; of writes that follow one another, the first and one from the middle (how many
/// there are differs from run to run).
fn points(trace: &[String], database_alone: bool) -> Vec<Point> {
    let mut points = BTreeSet::new();
    let mut numbers = std::collections::BTreeMap::new();
    for (at, line) in trace.iter().enumerate() {
        let (word, file) = line.split_once(' ').unwrap();
        let call = *Call::ALL.iter().find(|call| call.word() == word).unwrap();
        let number: &mut u32 = numbers.entry(line).or_default();
        *number += 1;
        let same = |lines: &[String]| lines.iter().take_while(|other| *other == line).count();
        let (before, behind) =
            (trace[..at].iter().rev().take_while(|other| *other == line).count(), same(&trace[at..]));
        let inside = before > 0 && before * 2 != before + behind && before * 2 + 1 != before + behind;
        if inside || (database_alone && file != "strongroom.db") {
            continue;
        }
        for event in [Event::Before, Event::After] {
            // The rest of such a name is random.
            let file = if Path::new(file).extension().is_some_and(|kind| kind == "part") { ".part" } else { file };
            points.insert(Point { event, call, file: file.to_owned(), number: *number });
        }
    }
    points.into_iter().collect()
}

/// Some of them, from all over the operation: a rotation has hundreds.
fn spread(points: Vec<Point>) -> Vec<Point> {
    const MOST: usize = 24;
    let step = points.len().div_ceil(MOST).max(1);
    points.into_iter().step_by(step).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_at_any_point_leaves_before_or_after() {
    let world = World::new().await;
    let server = world.serve().await.unwrap();
    world.work(&server, 0, 12).await;
    server.stop();
    world.disk.settle();
    let mut all = Vec::new();
    for operation in OPERATIONS.iter().step_by(usize::try_from(crate::support::campaign(3, 1, 1)).unwrap()) {
        all.extend(operation.points(&world).await.into_iter().map(|point| (*operation, point)));
    }
    let names: BTreeSet<String> = all.iter().map(|(operation, point)| name(*operation, point)).collect();
    assert!(names.len() >= 25, "{names:#?}");
    // A system call that does not go through libc would not be seen, and a replaced file be lost.
    assert!(names.iter().any(|name| name.contains("rename backup.strongroom")), "{names:#?}");

    let (kills, mut killed, mut missed) =
        (usize::try_from(crate::support::campaign(8, 45, 360)).unwrap(), 0, Vec::new());
    for cycle in 0.. {
        if killed == kills {
            break;
        }
        // Spread over all of them, and where there are more kills than points, around again.
        let index = if kills < all.len() { cycle * all.len() / kills } else { cycle } % all.len();
        let (operation, point) = &all[index];
        let server = operation.prepare(&world).await;
        world.disk.arm(point.event, &[point.call], &point.file, point.number);
        let server = operation.run(&world, server).await;
        if world.disk.disarm() {
            killed += 1;
        } else {
            // Not every run comes to each point that the one came to which was watched.
            missed.push(name(*operation, point));
        }
        // Of a command it was the command that was killed.
        drop(server);
        // A killed process leaves everything that it wrote; every other time the power goes with it.
        match cycle % 2 {
            0 => world.disk.settle(),
            _ => world.disk.power_up(Unsynced::Torn(cycle as u64)),
        }
        let case = format!("cycle {cycle}, {}", name(*operation, point));
        let server = world.serve_again().await.unwrap_or_else(|problem| panic!("{case}: {problem}"));
        let mut problems = world.problems(&server).await;
        problems.extend(restored(&world));
        if world.installation.path("strongroom.key.new").exists() {
            problems.extend(world.problems_of(&["vault", "rekey"]));
        }
        assert!(problems.is_empty(), "{case}: {problems:#?}");
        server.stop();
        world.disk.settle();
        assert!(missed.len() < 5 + kills / 4, "{missed:#?}");
    }
    println!("{killed} kills at {} points, {} runs did not come to theirs: {names:#?}", names.len(), missed.len());
}

/// Problems of a restored vault. It must exist completely, or not at all and be restorable.
fn restored(world: &World) -> Option<String> {
    let there = world.installation.path(RESTORED).exists();
    let problem = there.then(|| world.problems_of(&["--vault", RESTORED, "vault", "verify"])).flatten();
    if there {
        forget_restored(world);
    }
    problem
}

fn forget_restored(world: &World) {
    for suffix in ["", "-wal", "-shm", ".lock", ".ballast"] {
        let _ = std::fs::remove_file(world.installation.path(&format!("{RESTORED}{suffix}")));
    }
}

fn name(operation: Operation, point: &Point) -> String {
    let Point { event, call, file, number } = point;
    format!("{}: {event:?} {} {file} {number}", operation.name(), call.word()).to_lowercase()
}
