//! Up to when a chain is recorded, and whether that is longer ago than it may be.
//!
//! In: cursors, the config's `silent_after`, the clock. Out: words, and the same as JSON.
//! Never: whose fault it is. A daemon that is gone and a chain without newer blocks leave the same
//! books behind, and the words are true of both. Why: whoever is gone leaves no mark.

use std::collections::BTreeMap;
use std::time::Duration;

use payments::chain::Cursor;
use payments::name::ChainName;
use payments::time::Time;
use serde_json::{Value, json};

use crate::clock::{Clock, rfc3339};
use crate::config::Config;

/// How long each chain may be silent, and the clock that says how long it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Patience {
    clock: Clock,
    silent_after: BTreeMap<ChainName, Duration>,
}

/// The newest block that is recorded of a chain, which is older than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Silence {
    since: Time,
    age: Duration,
}

impl Patience {
    pub(crate) fn new(config: &Config, clock: Clock) -> Self {
        let of = |name: &ChainName| {
            config.chains.get(name).and_then(|chain| chain.rules.bounds.silent_after)
        };
        let limits = config.chains.keys().filter_map(|name| Some((name.clone(), of(name)?)));
        Self { clock, silent_after: limits.collect() }
    }

    /// Whether nothing newer is recorded of a chain for longer than its config bears.
    pub(crate) fn silence(&self, cursor: &Cursor) -> Option<Silence> {
        let limit = self.silent_after.get(&cursor.chain)?;
        let since = cursor.last()?.time;
        let age = self.clock.now().since(since);
        (age > *limit).then_some(Silence { since, age })
    }
}

impl Silence {
    /// What is known, and what to ask.
    pub(crate) fn words(self) -> String {
        let ago = humantime::format_duration(Duration::from_secs(self.age.as_secs()));
        let since = rfc3339(self.since);
        format!("nothing newer than {since} is recorded, {ago} ago: does the daemon run?")
    }

    pub(crate) fn json(self) -> Value {
        json!({ "recorded_to": rfc3339(self.since), "seconds": self.age.as_secs() })
    }
}
