//! `kill -9` at every named point: between any two things that last.
//!
//! In: the names in the sources, seeds. Out: books as of the same history without kills.
//! Never: a name that is not reached; each is, in each history, on each engine.
//! Why: the moments that lose money are too short to be met by chance.
//!
//! `BURSAR_CRASH_SEEDS=20` plays more histories, `BURSAR_CRASH_SEED=7` that one alone.

mod books;
mod deeds;
mod desk;
mod world;

use std::path::{Path, PathBuf};
use std::time::Instant;

use deeds::{Deed, Plan};
use world::World;

use super::daemon::Daemon;
use super::dice::Dice;
use super::shop::Engine;

/// Histories where nobody says how many: each kills at every point, by deeds of its own.
const SEEDS: usize = 8;
/// Fewer names than these, and some were forgotten.
const LEAST: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_every_point_it_loses_nothing_and_doubles_nothing() {
    let points = points();
    assert!(points.len() >= LEAST, "{} points: {points:?}", points.len());
    let seeds = match setting("BURSAR_CRASH_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..setting("BURSAR_CRASH_SEEDS").unwrap_or(SEEDS),
    };
    let begun = Instant::now();
    let (mut kills, mut deposits, mut events) = (0, 0, 0);
    for seed in seeds.clone() {
        println!("BURSAR_CRASH_SEED={seed}");
        let plans = deeds::history(&points, &mut Dice::new(seed));
        let wanted = undisturbed(&plans).await;
        let end = wanted.last().expect("books");
        deposits += end.lines().filter(|line| line.starts_with("  deposit ")).count();
        events += end.lines().filter(|line| line.starts_with("  told ")).count();
        let (on_sqlite, on_postgres) = tokio::join!(
            killed(Engine::Sqlite, &plans, &wanted),
            killed(Engine::Postgres, &plans, &wanted)
        );
        assert_eq!((on_sqlite, on_postgres), (points.len(), points.len()), "seed {seed}");
        kills += on_sqlite + on_postgres;
    }
    let (points, seeds, took) = (points.len(), seeds.len(), begun.elapsed());
    println!("{kills} kills at {points} points x {seeds} seeds x 2 engines in {took:?}");
    println!("{deposits} deposits and {events} events of orders, the same on either engine");
}

/// What the books hold before each deed and at the end, where nothing is killed.
async fn undisturbed(plans: &[Plan]) -> Vec<String> {
    let mut world = World::new(Engine::Sqlite).await;
    let mut running: Option<Daemon> = None;
    let mut books = Vec::new();
    for Plan { point, deed } in plans {
        if deed.is_first() {
            world.mine_empty();
            books.push(String::new());
            continue;
        }
        if running.is_none() {
            world.open().await;
            running = Some(world.daemon());
        }
        let daemon = running.as_mut().expect("it runs");
        if deeds::is_met_at_the_start(point) {
            world.mine_empty();
        }
        world.recover(daemon).await;
        books.push(world.books().await);
        deed.begin(&mut world, daemon).await;
        deed.done(&mut world, daemon, None).await;
    }
    let mut daemon = running.expect("it runs");
    // What was done last is found before everything expires.
    world.recover(&mut daemon).await;
    world.end(&mut daemon).await;
    books.push(world.books().await);
    daemon.stop().await;
    world.audit().await;
    books
}

/// The same history, killed once at the point of each deed; how often it was.
async fn killed(engine: Engine, plans: &[Plan], wanted: &[String]) -> usize {
    let mut world = World::new(engine).await;
    for (Plan { point, deed }, wanted) in plans.iter().zip(wanted) {
        if deed.is_first() {
            let command = if *deed == Deed::Migrate { "migrate" } else { "run" };
            let process = world.armed(point, &[command]);
            world.mine_empty();
            world.kill_at(process, point).await;
            continue;
        }
        world.open().await;
        if deeds::is_met_at_the_start(point) {
            let process = world.armed(point, &["run"]);
            world.mine_empty();
            world.kill_at(process, point).await;
        }
        let mut daemon = world.daemon();
        world.recover(&mut daemon).await;
        assert_eq!(&world.books().await, wanted, "{engine:?} before {point}, {deed:?}");
        deed.begin(&mut world, &mut daemon).await;
        if deeds::is_met_at_the_start(point) {
            deed.done(&mut world, &mut daemon, None).await;
            daemon.kill().await;
        } else if deed.is_typed() {
            // The daemon would be met at the point as well.
            daemon.kill().await;
            deed.prepare(&mut world).await;
            let command = deed.command(&world).expect("what is typed");
            let process = world.armed(point, &command);
            world.kill_at(process, point).await;
            deed.done_again(&mut world).await;
        } else {
            deed.done(&mut world, &mut daemon, Some(point)).await;
            world.kill_at(daemon, point).await;
        }
    }
    let mut daemon = world.daemon();
    world.recover(&mut daemon).await;
    world.end(&mut daemon).await;
    assert_eq!(world.books().await, wanted[plans.len()], "{engine:?} at the end");
    daemon.stop().await;
    world.audit().await;
    world.kills
}

fn setting(name: &str) -> Option<usize> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Every name in the sources, in their order.
fn points() -> Vec<&'static str> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let mut names = Vec::new();
    for of in ["store", "bursar"] {
        for file in sources(&crates.join(of).join("src")) {
            let text = std::fs::read_to_string(&file).expect("a source");
            let places = text.split("point!(\"").skip(1);
            names.extend(places.filter_map(|rest| rest.split('"').next()).map(str::to_owned));
        }
    }
    names.sort_unstable();
    let twice = names.windows(2).find(|pair| pair[0] == pair[1]);
    assert_eq!(twice, None, "a name is that of one place");
    names.into_iter().map(|name| &*name.leak()).collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("a file").path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else {
            files.push(path);
        }
    }
    files
}
