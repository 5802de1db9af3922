//! The line language of `script.txt`.
//!
//! In: text. Out: lines, each either done by the node (once, when it was recorded) or by us (at
//! every run). Never: a word that is passed over because nobody knows it.
//! Why: one text drives the recording and the replay, so the two cannot tell different stories.

use payments::amount::Usdt;

/// One line of a script, as it was written and as it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    /// The chain it happens on, where that is not the scenario's own.
    pub(super) chain: Option<String>,
    pub(super) step: Step,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// The node's, done when it is recorded.
    Node(Node),
    /// Ours, done at every run.
    Ours(Ours),
    /// `wait N blocks`: the node mines, then we look.
    Wait(u64),
}

/// What happens at the node. It is seen by us from the next line of ours on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// One transaction that waits for the next block.
    Pay { payments: Vec<Payment>, from: Option<String>, label: Option<String> },
    /// A transfer of another token that calls itself USDT too.
    LookAlike(Payment),
    /// A transaction whose inner call transfers and is reverted.
    Undone(Payment),
    /// A transfer that runs out of time: its log is shown, and nothing was moved.
    OutOfTime(Payment),
    /// Leave to take so much; an Approval moves nothing.
    Approve(Payment),
    /// The fee switched on: basis points, and the most in whole tokens.
    Fee(u64, u64),
    /// The token stops all transfers, or lets them go on.
    Pause(bool),
    /// Another contract goes on in the token's place.
    Deprecate,
    /// Nothing can be sent from an order's address any more.
    Blacklist(String),
    /// What is at such an address is destroyed.
    Destroy(String),
    /// Blocks; what waits goes into the first.
    Mine(u64),
    /// Seconds that pass before the next block.
    Later(u64),
    /// So many blocks replaced; in which of the new ones which transaction is mined again.
    Reorg { depth: u64, again: Vec<(String, u64)> },
    /// Remembers the chain.
    Remember,
    /// Goes back to the chain that was remembered.
    Back,
    /// A TRON node throws away what it has above the block after the solidified one.
    Restart,
    /// It has again what it threw away.
    Resume,
    /// What is wrong with the index from now on.
    Index(Index),
    /// The newest block and the newest solidified one, of a chain that was recorded as files.
    Stands { tip: u64, solid: u64 },
}

/// One way in which an index is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Index {
    /// It has no row of this transaction.
    Loses(String),
    /// It lists each row twice.
    Repeats,
    /// It has rows for approvals.
    Approvals,
}

/// An amount to an order's address, or to `nobody`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Payment {
    pub(super) amount: Usdt,
    pub(super) to: String,
}

/// What the shop and the daemon do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ours {
    /// An order of so much, or of any amount.
    Order {
        id: String,
        amount: Option<String>,
        chain: Option<String>,
    },
    Cancel(String),
    /// The chain is watched by its accounts: the first line, or not at all.
    ByAccounts,
    /// A line of the chain's config; such lines stand before all others.
    With(String),
    /// A person lets crediting go on.
    GoOn,
    /// A person follows the branch of the node's newest block.
    Adopt,
    /// The blocks behind an index are read.
    Reread,
    /// The watcher turns until it finds nothing more.
    Play,
    /// Everything in memory is gone.
    Crash,
    /// The books are opened and the node is connected to again.
    Start,
    /// The endpoint is another recording from now on.
    Switch(String),
}

/// Reads a script.
pub(super) fn parse(text: &str) -> Result<Vec<Line>, String> {
    let lines = (1..).zip(text.lines()).map(|(at, text)| (at, text.trim()));
    let lines = lines.filter(|(_, text)| !text.is_empty() && !text.starts_with('#'));
    lines
        .map(|(at, text)| {
            let (chain, step) = on_a_chain(text).ok_or_else(|| unknown(at, text))?;
            Ok(Line { text: text.to_owned(), chain, step })
        })
        .collect()
}

fn unknown(at: u32, text: &str) -> String {
    format!("line {at}: what is `{text}`?")
}

/// What the script makes the node of a chain do, in one line: a tape keeps it as its note.
pub(super) fn at_the_node(lines: &[Line], chain: Option<&str>) -> String {
    let there = lines.iter().filter(|line| line.chain.as_deref() == chain);
    let done = there.filter(|line| !matches!(line.step, Step::Ours(_)));
    done.map(|line| line.text.as_str()).collect::<Vec<_>>().join("; ")
}

/// The chain beside the scenario's own on which something happens.
pub(super) fn beside(lines: &[Line]) -> Option<String> {
    lines.iter().find_map(|line| line.chain.clone())
}

/// `anvil: mine` happens on another chain.
fn on_a_chain(text: &str) -> Option<(Option<String>, Step)> {
    match text.split_once(": ") {
        None => Some((None, step(text)?)),
        Some((chain, rest)) => {
            let step = step(rest).filter(|step| matches!(step, Step::Node(_)))?;
            Some((Some(chain.to_owned()), step))
        }
    }
}

fn step(text: &str) -> Option<Step> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let step = match words.as_slice() {
        ["wait", blocks, "blocks" | "block"] => Step::Wait(blocks.parse().ok()?),
        ["order", id, amount] => Step::Ours(order(id, amount, None)?),
        ["order", id, amount, "on", chain] => Step::Ours(order(id, amount, Some(chain))?),
        ["cancel", id] => Step::Ours(Ours::Cancel((*id).to_owned())),
        ["by", "accounts"] => Step::Ours(Ours::ByAccounts),
        ["with", ..] => Step::Ours(Ours::With(text.strip_prefix("with ")?.to_owned())),
        ["go", "on"] => Step::Ours(Ours::GoOn),
        ["adopt", "the", "new", "branch"] => Step::Ours(Ours::Adopt),
        ["reread"] => Step::Ours(Ours::Reread),
        ["play"] => Step::Ours(Ours::Play),
        ["crash"] => Step::Ours(Ours::Crash),
        ["start"] => Step::Ours(Ours::Start),
        ["switch", tape] => Step::Ours(Ours::Switch((*tape).to_owned())),
        ["pay", ..] => Step::Node(pay(text.strip_prefix("pay")?)?),
        ["look-alike", rest @ ..] => Step::Node(Node::LookAlike(payment(rest)?)),
        ["undone", rest @ ..] => Step::Node(Node::Undone(payment(rest)?)),
        ["out-of-time", rest @ ..] => Step::Node(Node::OutOfTime(payment(rest)?)),
        ["approve", rest @ ..] => Step::Node(Node::Approve(payment(rest)?)),
        ["fee", points, most] => Step::Node(Node::Fee(points.parse().ok()?, most.parse().ok()?)),
        ["token", "pauses"] => Step::Node(Node::Pause(true)),
        ["token", "goes", "on"] => Step::Node(Node::Pause(false)),
        ["token", "deprecated"] => Step::Node(Node::Deprecate),
        ["blacklist", order] => Step::Node(Node::Blacklist((*order).to_owned())),
        ["destroy", order] => Step::Node(Node::Destroy((*order).to_owned())),
        ["mine"] => Step::Node(Node::Mine(1)),
        ["mine", blocks] => Step::Node(Node::Mine(blocks.parse().ok()?)),
        ["later", time] => Step::Node(Node::Later(seconds(time)?)),
        ["reorg", depth, rest @ ..] => {
            Step::Node(Node::Reorg { depth: depth.parse().ok()?, again: again(rest)? })
        }
        ["remember"] => Step::Node(Node::Remember),
        ["back"] => Step::Node(Node::Back),
        ["restart"] => Step::Node(Node::Restart),
        ["resume"] => Step::Node(Node::Resume),
        ["index", "loses", label] => Step::Node(Node::Index(Index::Loses((*label).to_owned()))),
        ["index", "repeats"] => Step::Node(Node::Index(Index::Repeats)),
        ["index", "shows", "approvals"] => Step::Node(Node::Index(Index::Approvals)),
        ["tip", tip, "solid", solid] => {
            Step::Node(Node::Stands { tip: tip.parse().ok()?, solid: solid.parse().ok()? })
        }
        _ => return None,
    };
    Some(step)
}

/// An order of so much, or of any amount.
fn order(id: &str, amount: &str, chain: Option<&str>) -> Option<Ours> {
    let amount = match amount {
        "top-up" => None,
        amount => Some(Usdt::parse(amount).ok()?.to_string()),
    };
    Some(Ours::Order { id: id.to_owned(), amount, chain: chain.map(str::to_owned) })
}

/// `60.00 to A, 40.00 to A from B as split`
fn pay(text: &str) -> Option<Node> {
    let (text, label) = match text.split_once(" as ") {
        Some((text, label)) => (text, Some(label.trim().to_owned())),
        None => (text, None),
    };
    let (text, from) = match text.split_once(" from ") {
        Some((text, from)) => (text, Some(from.trim().to_owned())),
        None => (text, None),
    };
    let payments = text.split(',').map(|part| {
        let words: Vec<&str> = part.split_whitespace().collect();
        payment(&words)
    });
    Some(Node::Pay { payments: payments.collect::<Option<_>>()?, from, label })
}

fn payment(words: &[&str]) -> Option<Payment> {
    let [amount, "to", to] = words else { return None };
    Some(Payment { amount: Usdt::parse(amount).ok()?, to: (*to).to_owned() })
}

/// `with p1 in 0 with p2 in 1`: transactions and the places of their new blocks, from 0.
fn again(words: &[&str]) -> Option<Vec<(String, u64)>> {
    let (each, rest) = words.as_chunks::<4>();
    let each = each.iter().map(|part| match part {
        ["with", label, "in", block] => Some(((*label).to_owned(), block.parse().ok()?)),
        _ => None,
    });
    rest.is_empty().then(|| each.collect())?
}

/// `90s`, `31m`, `25h`
fn seconds(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Step {
        parse(text).unwrap().pop().unwrap().step
    }

    #[test]
    fn words_are_read() {
        let payment = |amount: &str, to: &str| Payment {
            amount: Usdt::parse(amount).unwrap(),
            to: to.to_owned(),
        };
        let payments = vec![payment("60", "A"), payment("40", "B")];
        let (from, label) = (Some("A".to_owned()), Some("p1".to_owned()));
        assert_eq!(
            one("pay 60.00 to A, 40.00 to B from A as p1"),
            Step::Node(Node::Pay { payments, from, label })
        );
        let again = vec![("p1".to_owned(), 0), ("p2".to_owned(), 2)];
        let reorg = Step::Node(Node::Reorg { depth: 3, again });
        assert_eq!(one("reorg 3 with p1 in 0 with p2 in 2"), reorg);
        assert_eq!(one("later 31m"), Step::Node(Node::Later(1860)));
        assert_eq!(one("# words\n\nwait 12 blocks"), Step::Wait(12));
    }

    #[test]
    fn what_is_no_word_is_named_with_its_line() {
        for text in [
            "pray",
            "play twice",
            "pay A 100",
            "mine x",
            "reorg 2 with p1",
            "order A -1",
            "restart 3",
        ] {
            let said = parse(&format!("play\n{text}")).unwrap_err();
            assert_eq!(said, format!("line 2: what is `{text}`?"));
        }
    }

    #[test]
    fn the_nodes_lines_are_those_that_a_tape_was_made_of() {
        let lines = parse("order A 1\npay 1 to A\nmine\nplay\nwait 2 blocks").unwrap();
        assert_eq!(at_the_node(&lines, None), "pay 1 to A; mine; wait 2 blocks");
    }

    #[test]
    fn what_happens_on_another_chain_stands_on_its_own_tape() {
        let lines = parse("order A 1 on anvil\nmine\nanvil: pay 1 to A\nanvil: mine 4").unwrap();
        assert_eq!(at_the_node(&lines, None), "mine");
        assert_eq!(beside(&lines).as_deref(), Some("anvil"));
        assert_eq!(at_the_node(&lines, Some("anvil")), "anvil: pay 1 to A; anvil: mine 4");
        assert!(parse("anvil: play").is_err());
    }
}
