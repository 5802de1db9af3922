//! How many requests a way of watching costs, beside what the plan allows.
//!
//! In: how often is polled, and what. Out: requests a day for each endpoint. Never: a request.
//! Why: a plan that is spent by noon watches nothing until midnight, and arithmetic says so
//! before.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::config::Config;
use crate::source::Source;

/// Milliseconds of a day.
const DAY: u64 = 86_400_000;
/// Milliseconds from one block to the next. Missed ones make it fewer a day.
const BLOCK: u64 = 3_000;

/// How a chain is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Habits {
    /// How long between two polls.
    pub poll: Duration,
    /// What a poll reads.
    pub way: Way,
    /// The names of the endpoints that a scheduled comparison asks for every block once more.
    pub compared: BTreeSet<String>,
}

/// What a poll reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Every block and its infos: [`Source::poll`].
    Blocks,
    /// Headers, and the index for this many accounts: [`Source::poll_accounts`].
    Accounts(u64),
    /// The same, and every block behind it: [`Source::rescan`].
    AccountsAndBlocks(u64),
}

/// What an endpoint is asked a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// The endpoint's name.
    pub name: String,
    /// For the chain's two ends: the newest and the newest solidified block of each poll.
    pub ends: u64,
    /// For blocks, or their headers.
    pub blocks: u64,
    /// For their transaction infos, one request each.
    pub infos: u64,
    /// For accounts. A transaction that is found costs three more.
    pub accounts: u64,
    /// For blocks and infos once more, to compare them with the books. Balances cost one each.
    pub compared: u64,
    /// What its plan allows a day, where it has a limit.
    pub allowed: Option<u64>,
    /// How many times faster than the chain a catch-up reads within its rate; none where the rate
    /// has no limit.
    pub catch_up: Option<u64>,
}

impl Budget {
    /// All of it.
    #[must_use]
    pub const fn total(&self) -> u64 {
        let chain = self.ends.saturating_add(self.blocks).saturating_add(self.infos);
        chain.saturating_add(self.accounts).saturating_add(self.compared)
    }

    /// Whether the plan allows it.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.allowed.is_none_or(|allowed| self.total() <= allowed)
    }
}

impl Config {
    /// What each endpoint is asked a day on a chain of full pace. The first one reads the blocks;
    /// the others say what their ends are, and stand in for it.
    #[must_use]
    pub fn budget(&self, habits: &Habits) -> Vec<Budget> {
        let polls = per_day(habits.poll);
        let all = DAY.checked_div(BLOCK).unwrap_or_default();
        let window = self.window.max(1);
        // What one poll finds new is asked for at once, up to a window.
        let found = all.div_ceil(polls.max(1));
        let at_once = polls.min(all).saturating_mul(found.div_ceil(window));
        let behind = all.div_ceil(window);
        let (blocks, infos, accounts) = match habits.way {
            Way::Blocks => (at_once, all, 0),
            Way::Accounts(accounts) => (all, 0, accounts),
            Way::AccountsAndBlocks(accounts) => (all.saturating_add(behind), all, accounts),
        };
        let each = self.endpoints.iter().enumerate().map(|(place, endpoint)| {
            let (first, limit) = (place == 0, endpoint.requests_per_day);
            let only_first = |requests: u64| if first { requests } else { 0 };
            let compared = habits.compared.contains(&endpoint.name);
            Budget {
                name: endpoint.name.clone(),
                ends: polls.saturating_mul(2),
                blocks: only_first(blocks),
                infos: only_first(infos),
                accounts: only_first(accounts.saturating_mul(polls)),
                compared: if compared { all.saturating_add(behind) } else { 0 },
                allowed: (limit > 0).then_some(limit),
                catch_up: catch_up(endpoint.requests_per_second, window),
            }
        });
        each.collect()
    }
}

impl Source {
    /// As [`Config::budget`].
    #[must_use]
    pub fn budget(&self, habits: &Habits) -> Vec<Budget> {
        self.config.budget(habits)
    }
}

/// Requests for a window: one for its blocks, and one for the infos of each.
fn catch_up(per_second: u32, window: u64) -> Option<u64> {
    if per_second == 0 {
        return None;
    }
    let blocks = u64::from(per_second).saturating_mul(window);
    let seconds = BLOCK.checked_div(1_000)?;
    blocks.saturating_mul(seconds).checked_div(window.saturating_add(1))
}

fn per_day(interval: Duration) -> u64 {
    let millis = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX).max(1);
    DAY.div_ceil(millis)
}
