//! `eth_getLogs`, with everything that can be wrong about it.
//!
//! In: a filter and a view. Out: logs, or a refusal in some provider's words. Never: an honest
//! mistake; what is left out or made up here is a fault that a test switched on. Why: this one
//! method decides whether a payment is seen.

use std::sync::Arc;

use alloy::primitives::B256;
use serde_json::{Value, json};

use super::block::Block;
use super::dialect::Span;
use super::fault::{BeyondTip, Fault, ForgeLog};
use super::filter::{Filter, Place, Tag};
use super::render;
use super::tx::APPROVAL;
use super::view::View;
use crate::jsonrpc::{Answer, RpcError};

/// Answers `eth_getLogs`.
pub(crate) fn logs(view: &View<'_>, filter: &Filter) -> Answer {
    let (span, blocks) = match filter.place {
        Place::Block(hash) => {
            let unknown = || RpcError::new(-32000, "unknown block");
            let block = view.whole_by_hash(hash).ok_or_else(unknown)?;
            (Span { from: block.header.number, to: block.header.number }, vec![block])
        }
        Place::Range { from, to } => {
            let Some(span) = asked(view, from, to)? else { return Ok(json!([])) };
            (span, (span.from..=span.to).map_while(|height| view.at(height)).collect())
        }
    };
    let mut found = Vec::new();
    // How many logs there are up to the end of each block: what a result limit's hint is read from.
    let mut ends = Vec::with_capacity(blocks.len());
    for block in blocks {
        found.extend(in_block(view, block, filter));
        ends.push((block.header.number, found.len()));
    }
    within_result_limit(view, span, &ends)?;
    forge(view, span, &mut found);
    Ok(Value::Array(found))
}

/// The logs of one block that the filter wants and no fault withholds.
pub(crate) fn in_block(view: &View<'_>, block: &Arc<Block>, filter: &Filter) -> Vec<Value> {
    let height = block.header.number;
    let withheld = |fault: &Fault| match fault {
        Fault::EmptyLogs { heights } => heights.contains(&height),
        _ => false,
    };
    if view.is(withheld) {
        return Vec::new();
    }
    let omitted = |hash: B256| view.is(|fault| *fault == Fault::OmitLog { tx: hash });
    let wanted = block
        .logs()
        .filter(|(_, tx, _, log)| filter.wants(log.address, log.topics()) && !omitted(tx.hash));
    wanted
        .map(|(place, tx, index, log)| render::log(block, place, tx, index, log, view.log_times))
        .collect()
}

/// The heights asked for, after the range limits and geth's own checks; `None` where a node that
/// clamps has nothing to look at.
fn asked(view: &View<'_>, from: Tag, to: Tag) -> Result<Option<Span>, RpcError> {
    let (from, to) = (view.height(from, "header")?, view.height(to, "header")?);
    if from > to {
        return Err(RpcError::new(-32602, "invalid block range params"));
    }
    let asked = Span { from, to };
    let refused = view.fault(|fault| match fault {
        Fault::RangeLimit { dialect, blocks } => {
            dialect.refuses(asked, *blocks, view.tip()).then(|| dialect.refusal(asked, *blocks))
        }
        _ => None,
    });
    if let Some(refusal) = refused {
        return Err(refusal);
    }
    if to <= view.tip() {
        return Ok(Some(asked));
    }
    let clamps = |fault: &Fault| matches!(fault, Fault::Lag { beyond: BeyondTip::Clamp, .. });
    if !view.is(clamps) {
        return Err(RpcError::new(-32602, "block range extends beyond current head block"));
    }
    Ok((from <= view.tip()).then_some(Span { from, to: view.tip() }))
}

fn within_result_limit(view: &View<'_>, span: Span, ends: &[(u64, usize)]) -> Result<(), RpcError> {
    let total = ends.last().map_or(0, |(_, end)| *end);
    let refused = view.fault(|fault| match fault {
        Fault::ResultLimit { dialect, logs } if total > *logs => {
            let fitting = ends.iter().take_while(|(_, end)| end <= logs).last();
            let to = fitting.map_or(span.from, |(height, _)| *height);
            Some(dialect.refusal(*logs, Span { from: span.from, to }))
        }
        _ => None,
    });
    refused.map_or(Ok(()), Err)
}

fn forge(view: &View<'_>, span: Span, found: &mut Vec<Value>) {
    for fault in view.faults() {
        let (Fault::Forge(how), Some(last)) = (fault, found.last_mut()) else { continue };
        let mut copy = last.clone();
        let instead = |log: &mut Value, field: &str, value: Value| {
            if let Some(field) = log.get_mut(field) {
                *field = value;
            }
        };
        match how {
            ForgeLog::OtherAddress => instead(&mut copy, "address", render::bytes([0xfa; 20])),
            ForgeLog::OtherTopic => {
                if let Some(topic) = copy.pointer_mut("/topics/0") {
                    *topic = render::bytes(APPROVAL);
                }
            }
            ForgeLog::OutOfRange => {
                let height = span.to.saturating_add(1);
                let hash = view.at(height).map_or(B256::repeat_byte(0xfa), |block| block.hash);
                instead(&mut copy, "blockNumber", render::quantity(height));
                instead(&mut copy, "blockHash", render::bytes(hash));
            }
            ForgeLog::Duplicate => {}
            ForgeLog::Removed => {
                instead(last, "removed", Value::Bool(true));
                continue;
            }
            ForgeLog::WrongBlockHash => {
                instead(last, "blockHash", render::bytes([0xfa; 32]));
                continue;
            }
        }
        found.push(copy);
    }
}
