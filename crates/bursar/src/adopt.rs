//! `bursar chain resume --adopt`: another branch is followed, because a person says so.
//!
//! In: a block of the branch, from the person; the recorded headers and deposits. Out: the highest
//! block that both branches share, everything above it taken back, and scanning from there.
//! Never: a branch the nodes do not have; a base above which something recorded might differ
//! unseen. Why: finality was broken, so nobody's word but a person's is enough.

use payments::Update;
use payments::adopt::Adoption;
use payments::chain::{BlockHash, BlockId, Cursor, Header};
use payments::lookup::{Held, Transaction};
use payments::name::ChainName;
use serde_json::{Value, json};
use store::{OrderFilter, SeenRefund};

use crate::error::{Error, input};
use crate::node::Node;
use crate::open::Opened;
use crate::rescan::height_at;

/// How many refunds the new branch is asked about.
const ASKED: usize = 100;
/// How many blocks with deposits are asked for at once.
const PAGE: u32 = 1_000;

/// Follows the branch that holds the block `named` as HEIGHT:HASH, and says from where on the
/// chain is read again. `from` is where the branches part, where the person knows it.
///
/// # Errors
/// Exit 2 where the nodes do not have that block, or the branches cannot be told apart.
pub async fn adopt(
    opened: &Opened,
    name: &ChainName,
    (named, from): (&str, Option<u64>),
    (by, why): (String, String),
) -> Result<(String, Value), Error> {
    let named = read(named)?;
    let (_, chain) = opened.config.chain(name.as_str())?;
    let node = opened.node(name, chain).await?;
    let found = header(&node, name, named.height).await?;
    match found.map(|header| header.id) {
        Some(id) if id == named => {}
        Some(id) => {
            let why = format!("the nodes have {} at height {}", id.hash, id.height);
            return Err(input("--adopt", why));
        }
        None => return Err(input("--adopt", format!("no node has height {}", named.height))),
    }
    let cursor = opened.books.store.cursor(name).await?;
    let finder = Finder { opened, name, node: &node };
    let base = match from {
        Some(from) => finder.stated(from).await?,
        None => finder.base(&cursor).await?,
    };
    let last = cursor.last().map_or(0, |header| header.id.height);
    let seen = opened.books.store.refunds_seen_above(name, base.id.height).await?;
    let refunds = seen.iter().map(|refund| refund.case.clone()).collect();
    let adoption = Adoption { chain: name.clone(), base, named, by, why, refunds };
    let changes = opened.books.record(&Update::Adopt(adoption)).await?;
    let orphaned = changes.events.iter();
    let orphaned = orphaned.filter(|e| e.kind == payments::event::EventKind::DepositOrphaned);
    let from = base.id.height.saturating_add(1);
    let BlockId { height, hash } = named;
    let orphaned = orphaned.count();
    let refunds = judged(&node, &seen).await;
    let text = format!(
        "{name} follows the branch of {height}:{hash}. Recorded heights {from} to {last} are taken \
         back, with {orphaned} deposits; the daemon reads the chain again from {from} on.\n{}",
        told(opened, name, &refunds)
    );
    let adopted = format!("{height}:{hash}");
    let value = json!({
        "chain": name.as_str(),
        "adopted": adopted,
        "from": from,
        "to": last,
        "orphaned": orphaned,
        "refunds": refunds.iter().map(|(refund, says)| json!({
            "case": refund.case.0,
            "tx": opened.view.tx(name, &refund.tx),
            "seen_at": refund.height,
            "now": says,
        })).collect::<Vec<_>>(),
    });
    Ok((text, value))
}

/// What the branch that is followed says of refunds that were seen on the other one.
async fn judged<'a>(node: &Node, seen: &'a [SeenRefund]) -> Vec<(&'a SeenRefund, String)> {
    let mut judged = Vec::with_capacity(seen.len());
    for (at, refund) in seen.iter().enumerate() {
        let says = if at < ASKED {
            match node.prove_transaction(refund.tx).await {
                Ok(Transaction::Mined(mined)) if mined.succeeded => {
                    format!("is in block {} of this branch", mined.block.height)
                }
                Ok(Transaction::Mined(mined)) => {
                    format!(
                        "failed in block {} of this branch: nothing was sent",
                        mined.block.height
                    )
                }
                Ok(Transaction::Pending) => "is in no block of this branch yet".to_owned(),
                Ok(Transaction::NotFound) => "is not known on this branch".to_owned(),
                Err(error) => format!("could not be asked about: {error}"),
            }
        } else {
            "was not asked about".to_owned()
        };
        judged.push((refund, says));
    }
    judged
}

/// What a person is told of them: nothing here pays a refund a second time.
fn told(opened: &Opened, name: &ChainName, refunds: &[(&SeenRefund, String)]) -> String {
    if refunds.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "Refunds that were seen on chain above, and stay recorded as paid: {}. One that this \
         branch does not pay by its end is still owed, and is to be sent again by hand.\n",
        refunds.len()
    );
    for (refund, says) in refunds {
        let (case, tx) = (&refund.case, opened.view.tx(name, &refund.tx));
        text.push_str(&format!("  {case}\n      {tx} {says}\n"));
    }
    text
}

fn read(text: &str) -> Result<BlockId, Error> {
    let parts = text.split_once(':');
    let block = parts.and_then(|(height, hash)| {
        Some(BlockId { height: height.parse().ok()?, hash: BlockHash::parse(hash)? })
    });
    let wrong = || input("--adopt", "write HEIGHT:HASH, the hash as 64 hex digits");
    block.ok_or_else(wrong)
}

async fn header(node: &Node, name: &ChainName, height: u64) -> Result<Option<Header>, Error> {
    node.header(height).await.map_err(|source| Error::chain(name, source))
}

/// Finds the highest block that both branches are known to share.
struct Finder<'a> {
    opened: &'a Opened,
    name: &'a ChainName,
    node: &'a Node,
}

impl Finder<'_> {
    async fn base(&self, cursor: &Cursor) -> Result<Header, Error> {
        let mut kept: Vec<BlockId> = cursor.kept.iter().map(|header| header.id).collect();
        if let Some(first) = cursor.kept.first()
            && let Some(height) = first.id.height.checked_sub(1)
        {
            kept.insert(0, BlockId { height, hash: first.parent });
        }
        if let Some(shared) = self.highest(&kept).await? {
            return self.at(shared.height).await;
        }
        let mut below = kept.first().map_or(0, |block| block.height);
        // What is recorded below the kept headers is known by the deposits in it.
        while let Some(highest) = below.checked_sub(1) {
            let mut page = self.opened.books.store.paid_blocks(self.name, highest, PAGE).await?;
            page.reverse();
            if let Some(shared) = self.highest(&page).await? {
                return self.at(shared.height).await;
            }
            let Some(lowest) = page.first() else { break };
            below = lowest.height;
        }
        self.before_all(below).await
    }

    /// The block below everything that can concern us, where no recorded block is on the branch:
    /// nobody was paid before the first order was made.
    async fn before_all(&self, below: u64) -> Result<Header, Error> {
        let all = OrderFilter::default();
        let first = self.opened.books.store.orders(&all, 0, 1).await?;
        let made = first.first().map(|(_, dossier)| dossier.order.created_at);
        let Some(made) = made.filter(|_| below > 0) else {
            let why = "no recorded block is on this branch; say with --from at which height the \
                       branches part";
            return Err(input("--adopt", why));
        };
        let height = height_at(self.name, self.node, made, below).await?;
        self.at(height.saturating_sub(1)).await
    }

    /// The block below the height at which, as a person says, the branches part.
    async fn stated(&self, from: u64) -> Result<Header, Error> {
        let below = from.checked_sub(1).ok_or_else(|| input("--from", "must be above 0"))?;
        let paid = self.opened.books.store.paid_blocks(self.name, below, 1).await?;
        if let Some(block) = paid.first()
            && !self.holds(*block).await?
        {
            let why = format!("the branches part below it: height {} differs", block.height);
            return Err(input("--from", why));
        }
        self.at(below).await
    }

    /// The highest of these ascending blocks that the nodes have: below one they have, they have
    /// all.
    async fn highest(&self, blocks: &[BlockId]) -> Result<Option<BlockId>, Error> {
        let (mut low, mut high) = (0usize, blocks.len());
        while low < high {
            let middle = low.midpoint(high);
            let Some(block) = blocks.get(middle) else { break };
            if self.holds(*block).await? {
                low = middle.saturating_add(1);
            } else {
                high = middle;
            }
        }
        Ok(low.checked_sub(1).and_then(|at| blocks.get(at)).copied())
    }

    async fn holds(&self, block: BlockId) -> Result<bool, Error> {
        let held = self.node.holds(block).await;
        Ok(held.map_err(|source| Error::chain(self.name, source))? == Held::Yes)
    }

    async fn at(&self, height: u64) -> Result<Header, Error> {
        let found = header(self.node, self.name, height).await?;
        found.ok_or_else(|| input("--adopt", format!("no node has height {height}")))
    }
}
