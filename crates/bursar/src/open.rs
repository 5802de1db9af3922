//! The books opened by a config: what most commands begin with.
//!
//! In: the config file. Out: the books, and the chains' nodes on demand.
//! Never: migrates by itself. Why: a command must not change a schema another one relies on.

use std::path::Path;
use std::sync::Arc;

use payments::chain::BlockHash;
use payments::name::ChainName;
use store::{OpenMode, Pins, Store};

use crate::books::Books;
use crate::clock::Clock;
use crate::config::{Chain, Config};
use crate::error::{Error, input};
use crate::node::Node;
use crate::view::View;

/// The config and the books.
#[derive(Debug, Clone)]
pub struct Opened {
    /// What the operator decided.
    pub config: Arc<Config>,
    /// The books.
    pub books: Books,
    /// How what is in them is shown.
    pub view: View,
}

impl Opened {
    /// Reads the config at `path` and opens the database it names.
    ///
    /// # Errors
    /// Exit 2 where the config is wrong or the database is of another version.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        let config = Config::load(path)?;
        Self::with(config, Clock::System).await
    }

    /// Opens the database that a config names.
    ///
    /// # Errors
    /// As [`Opened::open`].
    pub async fn with(config: Config, clock: Clock) -> Result<Self, Error> {
        let store = books(&config).await?;
        let rules = Arc::new(config.rules());
        let view = View::new(&config).by(&config, clock.clone());
        Ok(Self { config: Arc::new(config), books: Books { store, rules, clock }, view })
    }

    /// Connects to a chain's nodes, checks that they are what the config says, and pins what they
    /// are: a later start with other nodes is refused.
    ///
    /// # Errors
    /// Exit 2 where the nodes contradict the config or what was pinned.
    pub async fn node(&self, name: &ChainName, chain: &Chain) -> Result<Node, Error> {
        let mut node = chain.node.clone();
        let pinned = self.books.store.pins(name).await?;
        if let Some(pinned) = &pinned {
            compare(chain, pinned)?;
            node.expect_genesis(BlockHash::parse(&pinned.genesis));
        }
        let node = Node::connect(node).await.map_err(|source| Error::chain(name, source))?;
        if let Some(genesis) = node.genesis().filter(|_| pinned.is_none()) {
            let pins = Pins {
                chain: name.clone(),
                chain_id: chain.node.id(),
                genesis: genesis.to_string(),
                token: chain.rules.token,
                decimals: chain.rules.decimals,
            };
            // Another process may have pinned other nodes in this moment.
            compare(chain, &self.books.store.pin(&pins).await?)?;
        }
        Ok(node)
    }
}

/// Opens the database that a config names, as it is.
///
/// # Errors
/// Exit 2 where it is not there, or of another version.
pub(crate) async fn books(config: &Config) -> Result<Store, Error> {
    let url = config.database.expose();
    let absent = |path: &str| !Path::new(path).exists();
    if url.strip_prefix("sqlite:").is_some_and(absent) {
        return Err(input("database", "there is none yet: run `bursar migrate`"));
    }
    Store::open(url, OpenMode::Use).await.map_err(|error| match error {
        store::Error::NeedsMigration { .. } => {
            input("database", format!("{error}: run `bursar migrate`"))
        }
        error => error.into(),
    })
}

/// The config still means the chain and the token that the books were begun with.
fn compare(chain: &Chain, pinned: &Pins) -> Result<(), Error> {
    let field = |what: &str| format!("chains.{}.{what}", pinned.chain);
    let begun = "the books were begun with";
    if pinned.chain_id != chain.node.id() {
        let why = format!("is {}, {begun} {}", chain.node.id(), pinned.chain_id);
        return Err(input(&field("chain_id"), why));
    }
    if pinned.token != chain.rules.token {
        let why = format!("is {}, {begun} {}", chain.rules.token, pinned.token);
        return Err(input(&field("token"), why));
    }
    if pinned.decimals != chain.rules.decimals {
        let why = format!("is {}, {begun} {}", chain.rules.decimals, pinned.decimals);
        return Err(input(&field("decimals"), why));
    }
    Ok(())
}
