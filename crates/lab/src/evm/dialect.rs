//! How each provider words its refusal of a large `eth_getLogs`.
//!
//! In: the range asked for and the limit. Out: HTTP status, code, message and data as that
//! provider sends them. Never: a limit of its own. Why: a watcher tells a range too wide from a
//! node that is behind by these words alone, and the codes collide. The wordings were taken from
//! the providers' own answers and from the source of the clients they run.

use serde_json::{Value, json};

use crate::jsonrpc::RpcError;

/// Who refuses a range with too many blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RangeDialect {
    /// `range N exceeds limit of L`.
    Infura,
    /// HTTP 400 and a range that would do.
    AlchemyFree,
    /// HTTP 413 and a number with commas.
    QuickNode,
    /// Its own code, -32701.
    PublicNode,
    /// Not the range's size but its age: a smaller one is refused as well.
    PublicNodeDepth,
    /// HTTP 400 and the positive code 35.
    Drpc,
    /// `limited to a L blocks range`.
    OneRpc,
    /// No number at all.
    Ankr,
    /// `invalid params`, and the limit only inside `data.payload`.
    Tenderly,
    /// geth from 1.16 on with `--rpc.rangelimit`.
    Geth,
    /// reth.
    Reth,
    /// Erigon from 3.4 on.
    Erigon,
    /// `limit exceeded` for any range: the provider serves no logs.
    BscDataseed,
    /// `requested too many blocks from A to B`.
    Avalanche,
    /// `Max range: L`.
    Cloudflare,
}

/// Who refuses an answer with too many logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ResultDialect {
    /// A range that would do, in the message and in `data`.
    Infura,
    /// A range that would do, in a long message.
    Alchemy,
    /// A range that would do, in decimal.
    Reth,
    /// reth's server library: the body is too large, said in `data`.
    Jsonrpsee,
    /// `Too many logs requested`.
    Nethermind,
    /// Erigon from 3.4 on.
    Erigon,
    /// Infura's words under another code.
    ZkSync,
    /// Infura's words without a range.
    Aurora,
    /// `logs matched by query exceeds limit of L`.
    Arbitrum,
    /// No number at all.
    Optimism,
}

/// The heights asked for, both ends counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl Span {
    pub(crate) fn blocks(self) -> u64 {
        self.to.saturating_sub(self.from).saturating_add(1)
    }
}

impl RangeDialect {
    /// Whether this provider refuses, given the limit in blocks and the node's tip.
    pub(crate) fn refuses(self, asked: Span, limit: u64, tip: u64) -> bool {
        match self {
            Self::BscDataseed => true,
            Self::PublicNodeDepth => asked.from < tip.saturating_sub(limit),
            _ => asked.blocks() > limit,
        }
    }

    /// The refusal of a range above `limit` blocks.
    pub(crate) fn refusal(self, asked: Span, limit: u64) -> RpcError {
        let Span { from, to } = asked;
        let blocks = asked.blocks();
        match self {
            Self::Infura => error(-32602, format!("range {blocks} exceeds limit of {limit}")),
            Self::AlchemyFree => {
                let last = from.saturating_add(limit.saturating_sub(1));
                let message = format!(
                    "Under the Free tier plan, you can make eth_getLogs requests with up to a \
                     {limit} block range. Based on your parameters, this block range should work: \
                     [{from:#x}, {last:#x}]. Upgrade to PAYG for expanded block range."
                );
                error(-32600, message).with_status(400)
            }
            Self::QuickNode => {
                let limit = with_commas(limit);
                error(-32614, format!("eth_getLogs is limited to a {limit} range")).with_status(413)
            }
            Self::PublicNode => error(-32701, format!("exceed maximum block range: {limit}")),
            Self::PublicNodeDepth => error(-32602, "Archive requests require a personal token"),
            Self::Drpc => {
                let message = format!("ranges over {limit} blocks are not supported on freetier");
                error(35, message).with_status(400)
            }
            Self::OneRpc => {
                error(-32000, format!("eth_getLogs is limited to a {limit} blocks range"))
            }
            Self::Ankr => error(-32600, "block range is too wide"),
            Self::Tenderly => error(-32602, "invalid params").with_data(json!({
                "error_id": "4ed94073-0317-4648-a167-107fba5f44b3",
                "payload": format!("range {blocks} is bigger than range limit {limit}"),
            })),
            Self::Geth => error(-32602, format!("exceed maximum block range {limit}")),
            Self::Reth => error(-32602, format!("query exceeds max block range {limit}")),
            Self::Erigon => error(
                -32000,
                format!("query block range exceeds server limit, narrow your filter: {limit}"),
            ),
            Self::BscDataseed => error(-32005, "limit exceeded"),
            Self::Avalanche => error(
                -32000,
                format!("requested too many blocks from {from} to {to}, maximum is set to {limit}"),
            ),
            Self::Cloudflare => error(-32600, format!("Max range: {limit}")),
        }
    }
}

impl ResultDialect {
    /// The refusal of more than `limit` logs. `fits` is the largest range from the asked start
    /// that stays within it; where even one block is too much, that block.
    pub(crate) fn refusal(self, limit: usize, fits: Span) -> RpcError {
        let Span { from, to } = fits;
        let returned = format!("query returned more than {limit} results");
        match self {
            Self::Infura => {
                let (from, to) = (format!("0x{from:X}"), format!("0x{to:X}"));
                let message = format!("{returned}. Try with this block range [{from}, {to}].");
                let data = json!({ "from": from, "limit": limit, "to": to });
                error(-32005, message).with_data(data)
            }
            Self::Alchemy => error(
                -32602,
                format!(
                    "Log response size exceeded. You can make eth_getLogs requests with up to a \
                     2K block range and no limit on the response size, or you can request any \
                     block range with a cap of 10K logs in the response. Based on your parameters \
                     and the response size limit, this block range should work: \
                     [{from:#x}, {to:#x}]"
                ),
            ),
            Self::Reth => error(
                -32602,
                format!("query exceeds max results {limit}, retry with the range {from}-{to}"),
            ),
            Self::Jsonrpsee => error(-32008, "Response is too big")
                .with_data(Value::from("Exceeded max limit of 167772160")),
            Self::Nethermind => {
                error(-32005, format!("Too many logs requested. Max logs per response is {limit}."))
            }
            Self::Erigon => {
                error(-32000, format!("query returns too many logs, narrow your filter: {limit}"))
            }
            Self::ZkSync => error(
                -32602,
                format!(
                    "Query returned more than {limit} results. Try with this block range \
                     [{from:#x}, {to:#x}]."
                ),
            ),
            Self::Aurora => error(-32005, returned).with_data(json!({ "host": "localhost:8545" })),
            Self::Arbitrum => {
                error(-32000, format!("logs matched by query exceeds limit of {limit}"))
            }
            Self::Optimism => error(-32020, "backend response too large"),
        }
    }
}

fn error(code: i64, message: impl Into<String>) -> RpcError {
    RpcError::new(code, message)
}

fn with_commas(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        let left = digits.len().saturating_sub(place);
        if place > 0 && left.is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Span = Span { from: 1000, to: 20_999 };

    #[test]
    fn the_words_of_a_range_limit_are_the_providers_own() {
        let cases = [
            (RangeDialect::Infura, 200, -32602, "range 20000 exceeds limit of 10000"),
            (RangeDialect::QuickNode, 413, -32614, "eth_getLogs is limited to a 10,000 range"),
            (RangeDialect::PublicNode, 200, -32701, "exceed maximum block range: 10000"),
            (RangeDialect::Drpc, 400, 35, "ranges over 10000 blocks are not supported on freetier"),
            (RangeDialect::OneRpc, 200, -32000, "eth_getLogs is limited to a 10000 blocks range"),
            (RangeDialect::Ankr, 200, -32600, "block range is too wide"),
            (RangeDialect::Geth, 200, -32602, "exceed maximum block range 10000"),
            (RangeDialect::Reth, 200, -32602, "query exceeds max block range 10000"),
        ];
        for (dialect, status, code, message) in cases {
            let said = dialect.refusal(ASKED, 10_000);
            assert_eq!(
                (said.http_status, said.code, said.message.as_str()),
                (status, code, message)
            );
        }
        let alchemy = RangeDialect::AlchemyFree.refusal(ASKED, 10);
        assert_eq!(alchemy.http_status, 400);
        assert!(alchemy.message.contains("up to a 10 block range"), "{}", alchemy.message);
        assert!(alchemy.message.contains("[0x3e8, 0x3f1]"), "{}", alchemy.message);
        let tenderly = RangeDialect::Tenderly.refusal(ASKED, 2000).data;
        let payload = "range 20000 is bigger than range limit 2000";
        assert_eq!(tenderly.unwrap()["payload"], payload);
    }

    #[test]
    fn the_words_of_a_result_limit_carry_the_range_that_fits() {
        let fits = Span { from: 0xbde5f8, to: 0x102dbcc };
        let infura = ResultDialect::Infura.refusal(10_000, fits);
        assert_eq!(
            infura.message,
            "query returned more than 10000 results. Try with this block range \
             [0xBDE5F8, 0x102DBCC]."
        );
        let data = json!({"from":"0xBDE5F8","limit":10000,"to":"0x102DBCC"});
        assert_eq!(infura.data, Some(data));
        let alchemy = ResultDialect::Alchemy.refusal(10_000, Span { from: 0, to: 0xd043b8 });
        assert!(alchemy.message.ends_with("should work: [0x0, 0xd043b8]"), "{}", alchemy.message);
        let reth = ResultDialect::Reth.refusal(20_000, Span { from: 17_000_000, to: 17_000_345 });
        assert!(reth.message.ends_with("range 17000000-17000345"), "{}", reth.message);
    }

    #[test]
    fn age_is_refused_however_small_the_range() {
        let old = Span { from: 10, to: 10 };
        assert!(RangeDialect::PublicNodeDepth.refuses(old, 9000, 10_000));
        assert!(!RangeDialect::PublicNodeDepth.refuses(
            Span { from: 2000, to: 9000 },
            9000,
            10_000
        ));
        assert!(RangeDialect::Geth.refuses(ASKED, 19_999, 30_000));
        assert!(!RangeDialect::Geth.refuses(ASKED, 20_000, 30_000));
    }
}
