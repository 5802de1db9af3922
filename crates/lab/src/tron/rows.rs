//! The rows of TronGrid's index.
//!
//! In: blocks. Out: one row for each token transfer of an account, or for each event. Never: a
//! block hash, a status or a stable ordinal in a transfer's row; TronGrid has none. Why: rows are
//! hints, and a reader that credits them has to be caught.

use alloy::primitives::{Address, Log, hex};
use serde_json::{Value, json};

use super::address::base58;
use super::block::{Block, Mined};
use super::chain::TokenSpec;
use super::logs::Event;

/// Where a log is: the order rows are listed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) height: u64,
    pub(crate) tx: u64,
    pub(crate) log: u64,
}

/// A log that may become a row.
pub(crate) struct Seen<'a> {
    pub(crate) place: Place,
    pub(crate) block: &'a Block,
    pub(crate) tx: &'a Mined,
    pub(crate) log: &'a Log,
    pub(crate) event: &'static Event,
    /// Not final yet.
    pub(crate) unconfirmed: bool,
}

impl<'a> Seen<'a> {
    /// The logs of a block that mean something, of transactions that succeeded.
    pub(crate) fn of(block: &'a Block, solid: u64) -> impl Iterator<Item = Self> {
        let height = block.header.number;
        let unconfirmed = height > solid;
        block.moves().filter_map(move |(tx_place, tx, log_place, log)| {
            let event = Event::of(log)?;
            let (tx_at, log_at) = (u64::try_from(tx_place).ok()?, u64::try_from(log_place).ok()?);
            let place = Place { height, tx: tx_at, log: log_at };
            Some(Self { place, block, tx, log, event, unconfirmed })
        })
    }

    /// The two accounts of a transfer or an approval.
    pub(crate) fn parties(&self) -> Option<(Address, Address)> {
        match self.log.topics() {
            [_, from, to] if ["Transfer", "Approval"].contains(&self.event.name) => {
                Some((Address::from_word(*from), Address::from_word(*to)))
            }
            _ => None,
        }
    }

    /// A row of `/v1/accounts/{address}/transactions/trc20`.
    pub(crate) fn transfer(&self, token: Option<&TokenSpec>, unconfirmed: bool) -> Value {
        let (from, to) = self.parties().unwrap_or_default();
        let value = self.event.values(self.log).pop().unwrap_or_default();
        let token_info = token.map_or_else(
            || json!({}),
            |token| {
                json!({
                    "symbol": token.symbol,
                    "address": base58(token.address),
                    "decimals": token.decimals,
                    "name": token.name,
                })
            },
        );
        let row = json!({
            "transaction_id": hex::encode(self.tx.id),
            "token_info": token_info,
            "block_timestamp": self.block.header.timestamp,
            "from": base58(from),
            "to": base58(to),
            "type": self.event.name,
            "value": value,
        });
        marked(row, unconfirmed)
    }

    /// A row of an events page.
    pub(crate) fn event(&self, unconfirmed: bool) -> Value {
        let values = self.event.values(self.log);
        let named = self.event.arguments.iter().zip(&values);
        let mut result: serde_json::Map<_, _> = named
            .clone()
            .map(|(argument, value)| (argument.name.to_owned(), json!(value)))
            .collect();
        let numbered = values.iter().enumerate();
        result.extend(numbered.map(|(place, value)| (place.to_string(), json!(value))));
        let kinds: Value = {
            let kind =
                |argument: &super::logs::Argument| (argument.name.to_owned(), json!(argument.kind));
            Value::Object(self.event.arguments.iter().map(kind).collect())
        };
        let contract = base58(self.log.address);
        let row = json!({
            "block_number": self.place.height,
            "block_timestamp": self.block.header.timestamp,
            "caller_contract_address": contract,
            "contract_address": contract,
            "event_index": self.place.log,
            "event_name": self.event.name,
            "result": result,
            "result_type": kinds,
            "event": self.event.declaration(),
            "transaction_id": hex::encode(self.tx.id),
        });
        marked(row, unconfirmed)
    }
}

fn marked(mut row: Value, unconfirmed: bool) -> Value {
    if let (true, Some(fields)) = (unconfirmed, row.as_object_mut()) {
        fields.insert("_unconfirmed".to_owned(), json!(true));
    }
    row
}
