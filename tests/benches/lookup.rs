//! What it costs to know ten million addresses: bytes, look-ups, adding one, reading them at start.
//!
//! In: `--watched`, `--started`. Out: bytes an address, steady and at the peak, and look-ups/s, of
//! three sets; how long the books take to hand the addresses over, beside a bare pass over them.
//! Never: a size that is computed: an allocator counts every byte, those freed again too.
//! Why: a watcher that forgets no address grows by this for ever.

mod rig;

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use hashbrown::HashSet;
use payments::address::{Address, lower_hex};
use payments::watch::WatchSet;
use sqlx::{AnyConnection, Connection, Row};
use store::{OpenMode, Store, WatchState};

/// The system's allocator, counted.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

impl Counting {
    fn grew(bytes: usize) {
        let held = HELD.fetch_add(bytes, Relaxed) + bytes;
        PEAK.fetch_max(held, Relaxed);
    }
}

// SAFETY: every call is passed on as it came; only numbers are kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::grew(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Counted as if it were moved in place: the system's does so for what is large.
        Self::grew(size);
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes held now, and at most since `peak_from_here`.
fn held() -> usize {
    HELD.load(Relaxed)
}

fn peak_from_here() {
    PEAK.store(held(), Relaxed);
}

fn peak() -> usize {
    PEAK.load(Relaxed)
}

fn main() {
    let asked = rig::Asked::read(&[("watched", 10_000_000), ("started", 10_000_000)]);
    let count = asked.of("watched");
    println!("{count} addresses; 1 look-up of 10,000 finds one; one thread");
    let questions: Vec<Address> = (0..1_000_000u64)
        .map(|n| if n % 10_000 == 0 { n * 7 % count } else { count + n })
        .map(|n| Address(rig::address(n)))
        .collect();
    let texts: Vec<String> = questions.iter().map(|address| lower_hex(&address.0)).collect();
    let strings = measured(
        count,
        &questions,
        "HashSet<String> of hex",
        |count| (0..count).map(|n| lower_hex(&rig::address(n))).collect(),
        |set: &std::collections::HashSet<String>, at, _| set.contains(&texts[at]),
    );
    let hashed = measured(
        count,
        &questions,
        "hashbrown over [u8; 20]",
        |count| {
            let mut set = HashSet::with_capacity(usize::try_from(count).unwrap());
            set.extend((0..count).map(rig::address));
            set
        },
        |set: &HashSet<[u8; 20]>, _, address| set.contains(&address.0),
    );
    let ours = measured(
        count,
        &questions,
        "WatchSet",
        |count| WatchSet::new(addresses(count)),
        |built: &WatchSet, _, address| built.contains(address),
    );
    for (name, floor) in [("HashSet<String>", &strings), ("hashbrown", &hashed)] {
        let (memory, speed) = (ours.steady / floor.steady, ours.rate / floor.rate);
        println!("WatchSet is {memory:.2} x {name} in memory, {speed:.2} x in look-ups");
    }
    let mut set = WatchSet::default();
    let most = ours.peak.max(adding(&mut set, count));
    println!(
        "target: at most 45 bytes an address, {:.1} steady and {most:.1} at the peak: {}",
        ours.steady,
        rig::met(most <= 45.0)
    );
    drop((set, questions, texts));
    rig::runtime().block_on(started(asked.of("started")));
}

fn addresses(count: u64) -> Vec<[u8; 20]> {
    let mut list = Vec::with_capacity(usize::try_from(count).unwrap());
    list.extend((0..count).map(rig::address));
    list
}

/// What a set costs.
struct Cost {
    /// Bytes an address.
    steady: f64,
    /// Bytes an address while it is built.
    peak: f64,
    /// Look-ups a second.
    rate: f64,
}

/// Builds a set and asks it.
fn measured<Set>(
    count: u64,
    questions: &[Address],
    name: &str,
    build: impl Fn(u64) -> Set,
    asks: impl Fn(&Set, usize, &Address) -> bool,
) -> Cost {
    let before = held();
    peak_from_here();
    let start = Instant::now();
    let set = build(count);
    let built = start.elapsed();
    let each = |bytes: usize| (bytes - before) as f64 / count as f64;
    let (steady, peak) = (each(held()), each(peak()));
    let start = Instant::now();
    let mut rounds = 0u32;
    while start.elapsed() < Duration::from_secs(2) {
        let all = questions.iter().enumerate();
        let found = all.filter(|(at, address)| black_box(asks(&set, *at, address))).count();
        assert_eq!(found, questions.len() / 10_000, "{name}");
        rounds += 1;
    }
    let rate = f64::from(rounds) * questions.len() as f64 / start.elapsed().as_secs_f64();
    println!(
        "{name:24} {steady:>6.1} B steady {peak:>6.1} B peak {:>6.1} M look-ups/s, built in {:.1} s",
        rate / 1e6,
        built.as_secs_f64()
    );
    Cost { steady, peak, rate }
}

/// Adds addresses one at a time, as orders are made, while somebody holds the set as it was.
/// Bytes an address at the peak.
fn adding(set: &mut WatchSet, count: u64) -> f64 {
    let before = held();
    *set = WatchSet::new(addresses(count));
    peak_from_here();
    let mut times = Vec::new();
    for n in 2 * count..2 * count + 10_000 {
        let read_by_a_poll = set.clone();
        let start = Instant::now();
        let mut grown = read_by_a_poll.clone();
        grown.add(&[rig::address(n)]);
        times.push(start.elapsed());
        *set = grown;
    }
    let peak = (peak() - before) as f64 / count as f64;
    let sum: Duration = times.iter().sum();
    let mean = sum.as_secs_f64() * 1e6 / times.len() as f64;
    let (middle, _, largest) = rig::spread(times);
    println!(
        "adding 10,000 of them one at a time: {:.1} µs middle, {mean:.1} µs mean, {largest:.1} ms \
        largest, {peak:.1} B peak",
        middle * 1e3
    );
    peak
}

/// Reads `count` imported addresses from SQLite as the daemon does when it starts.
async fn started(count: u64) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("books.db").display());
    let store = Store::open(&url, OpenMode::Migrate).await.unwrap();
    let start = Instant::now();
    let mut from = 0;
    while from < count {
        let to = (from + 1_000_000).min(count);
        let part: Vec<Address> = (from..to).map(|n| Address(rig::address(n))).collect();
        assert_eq!(store.import(&part).await.unwrap(), to - from);
        from = to;
    }
    println!("{count} addresses imported into SQLite in {:.0} s", start.elapsed().as_secs_f64());
    store.close().await;
    let floor = bare(&url, count).await;
    let before = held();
    peak_from_here();
    let start = Instant::now();
    let store = Store::open(&url, OpenMode::Use).await.unwrap();
    let mut state = WatchState::default();
    let set = store.watch(&mut state).await.unwrap();
    let took = start.elapsed().as_secs_f64();
    assert_eq!(u64::try_from(set.len()).unwrap(), count);
    let each = |bytes: usize| (bytes - before) as f64 / count as f64;
    println!(
        "opened and read in {took:.2} s, {:.2} x the floor of {floor:.2} s, {:.1} B an address \
        steady, {:.1} B peak (the database's own cache, in C, is not counted)",
        took / floor,
        each(held()),
        each(peak())
    );
    println!("target: 10 million within 10 s: {}", rig::met(took * 1e7 / (count as f64) < 10.0));
    let start = Instant::now();
    for _ in 0..1000 {
        store.watch(&mut state).await.unwrap();
    }
    println!("{:.0} µs to find nothing new", start.elapsed().as_secs_f64() * 1e3);
    store.close().await;
}

/// The floor: the same column, added up by SQLite itself without a byte of it coming out. Seconds.
async fn bare(url: &str, count: u64) -> f64 {
    let mut connection = AnyConnection::connect(url).await.unwrap();
    let start = Instant::now();
    let query = "SELECT sum(length(address)) FROM addresses";
    let sum: i64 = sqlx::query(query).fetch_one(&mut connection).await.unwrap().get(0);
    let took = start.elapsed().as_secs_f64();
    assert_eq!(u64::try_from(sum).unwrap(), count * 42);
    connection.close().await.unwrap();
    took
}
