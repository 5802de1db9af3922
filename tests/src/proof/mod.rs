//! What proves the books to somebody else: exports, verification, proof reports.
//!
//! In: books with a history of the model in them. Out: what the real binary and independent
//! programs say of them, as they are and after somebody laid hands on them.
//! Never: an error that only our own code sees. Why: an auditor does not ask the audited.

mod audit;
mod export;
mod forged;
mod report;

use model::diary;
use model::memory::Memory;
use payments::plan;
use store::{Engine, OpenMode, Store};

use crate::{binary, postgres};

/// Steps of a history that is enough for something of everything.
const STEPS: u64 = 150;

/// Books of one engine, with a config beside them.
struct Place {
    folder: tempfile::TempDir,
    url: String,
    store: Store,
    _database: Option<postgres::Database>,
}

/// What a command said.
struct Said {
    code: i32,
    out: String,
    err: String,
}

/// Journals of a history in which enough happens.
const ENOUGH: usize = 60;

/// The first seed from this one on of a history in which enough happens.
fn eventful(seed: u64) -> u64 {
    let journals = |seed: &u64| {
        let (rules, pool, history) = diary(*seed, STEPS, true);
        let mut books = Memory::new();
        books.import(&pool);
        for (update, now) in &history {
            if let Ok(changes) = plan(&rules, &books.snapshot(update), update, *now) {
                books.commit(&changes).expect("the books take it");
            }
        }
        books.journals().len()
    };
    (seed..).find(|seed| journals(seed) >= ENOUGH).expect("there is one")
}

impl Place {
    async fn new(engine: Engine) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let database = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(postgres::database().await),
        };
        let url = match &database {
            Some(database) => database.url.clone(),
            None => format!("sqlite:{}", folder.path().join("books.db").display()),
        };
        let config = format!(
            r#"[database]
url = "{url}"

[pricing]
credits_per_usdt = "100"

[chains.ethereum]
kind = "evm"
chain_id = 1
token = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
decimals = 6

[chains.ethereum.addresses]
xpub = "xpub6BuRy7ZmkGfP2RWhoor1kWB1w9DvrtmJbFBvnC1bQ4SB5NbCHTyQYCJSXZtxDbFyHTmC7wkU2he3nYYdpZ3Vf6qUAkXSnL6RPif4BDtDEKr"

[[chains.ethereum.endpoints]]
name = "nobody"
url = "http://127.0.0.1:9"
"#
        );
        std::fs::write(folder.path().join("bursar.toml"), config).expect("the config");
        let store = Store::open(&url, OpenMode::Migrate).await.expect("books");
        Self { folder, url, store, _database: database }
    }

    /// Plays the history of a seed into the books: so many steps after the first ones.
    async fn go_on(&self, seed: u64, first: u64, steps: u64) {
        let seed = eventful(seed);
        let (rules, pool, history) = diary(seed, first + steps, true);
        let (_, _, known) = diary(seed, first, true);
        self.store.import(&pool).await.expect("imported");
        for (update, now) in &history[known.len()..] {
            let snapshot = self.store.snapshot(update).await.expect("a snapshot");
            if let Ok(changes) = plan(&rules, &snapshot, update, *now) {
                self.store.commit(&changes).await.expect("written");
            }
        }
    }

    /// Books with a history in them.
    async fn played(engine: Engine, seed: u64) -> Self {
        let place = Self::new(engine).await;
        place.go_on(seed, 0, STEPS).await;
        place
    }

    fn bursar(&self, arguments: &[&str]) -> Said {
        let output = binary::run(self.folder.path(), arguments);
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        let code = output.status.code().expect("it ended by itself");
        Said { code, out: text(output.stdout), err: text(output.stderr) }
    }

    fn good(&self, arguments: &[&str]) -> String {
        let said = self.bursar(arguments);
        assert_eq!(said.code, 0, "{arguments:?}: {}{}", said.err, said.out);
        said.out
    }
}
