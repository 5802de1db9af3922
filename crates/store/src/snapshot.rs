//! What is remembered and may matter to one update.
//!
//! In: an update. Out: `payments::changes::Snapshot`, of one state of the books.
//! Never: a rule. Why: what a plan does not see, it would decide wrongly about.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use payments::address::Address;
use payments::case::{CaseId, Resolution};
use payments::chain::{Cursor, final_time};
use payments::changes::{RefundFact, Snapshot, Update};
use payments::deposit::DepositId;
use payments::name::{ChainName, OrderId};
use payments::order::Dossier;

use crate::cases;
use crate::engine::Engine;
use crate::error::Error;
use crate::load::{self, Numbered};
use crate::notices;
use crate::outflows::{self, Seen};
use crate::row;
use crate::sql::{Binds, Link, PACKED_END, packed};
use crate::{Store, finish};

/// Orders that one snapshot expires at most; the next one expires more.
const EXPIRING: i64 = 1000;

impl Store {
    /// What the books remember that may matter to `update`.
    ///
    /// # Errors
    /// [`Error::Broken`] where a row does not parse, and what the engine says.
    pub async fn snapshot(&self, update: &Update) -> Result<Snapshot, Error> {
        // Through the connection that commits: on SQLite its page cache still holds the last
        // commit, another connection's does not.
        let mut transaction = self.committing(self.engine.begin_reading()).await?;
        let snapshot = gather(&mut self.link_to(transaction.wire()), update).await?;
        transaction.commit().await?;
        Ok(snapshot)
    }

    /// The same without waiting for a commit that is under way: of the state before or after it.
    ///
    /// # Errors
    /// As [`Self::snapshot`].
    pub async fn snapshot_beside(&self, update: &Update) -> Result<Snapshot, Error> {
        let mut transaction = self.reading().await?;
        let snapshot = gather(&mut self.link(&mut transaction), update).await?;
        finish(transaction).await?;
        Ok(snapshot)
    }

    /// How far `chain` is recorded; a fresh cursor where nothing is.
    ///
    /// # Errors
    /// As [`Self::snapshot`].
    pub async fn cursor(&self, chain: &ChainName) -> Result<Cursor, Error> {
        let mut transaction = self.reading().await?;
        let cursor = load::cursor(&mut self.link(&mut transaction), chain).await?;
        finish(transaction).await?;
        Ok(cursor)
    }
}

async fn gather(link: &mut Link<'_>, update: &Update) -> Result<Snapshot, Error> {
    match update {
        Update::Scan(scan) => {
            let seen = Seen { transfers: &scan.transfers, notices: &scan.notices };
            let mut parts = Parts::of_chain(link, &scan.chain, None).await?;
            parts.receive(link, &scan.chain, seen).await?;
            parts.send(link, &scan.chain, seen, None).await?;
            if let Some(cursor) = &parts.snapshot.cursor
                && let Some(now) = final_time(cursor, scan)
            {
                let binds = expiring(&scan.chain, now.0)?;
                parts.orders(link, &text_of_expiring(link.engine), binds).await?;
            }
            let mut snapshot = parts.finish(link).await?;
            outflows::fill(link, &scan.chain, seen, &mut snapshot).await?;
            Ok(snapshot)
        }
        Update::Rescan { chain, transfers, notices } => {
            let seen = Seen { transfers, notices };
            let mut parts = Parts::of_chain(link, chain, None).await?;
            parts.receive(link, chain, seen).await?;
            parts.send(link, chain, seen, None).await?;
            let mut snapshot = parts.finish(link).await?;
            outflows::fill(link, chain, seen, &mut snapshot).await?;
            Ok(snapshot)
        }
        Update::Adopt(adoption) => {
            let base = Some(adoption.base.id.height);
            let mut parts = Parts::of_chain(link, &adoption.chain, base).await?;
            let seen = Seen { transfers: &[], notices: &[] };
            parts.send(link, &adoption.chain, seen, base).await?;
            let mut snapshot = parts.finish(link).await?;
            outflows::fill(link, &adoption.chain, seen, &mut snapshot).await?;
            Ok(snapshot)
        }
        Update::Asked { chain, answers } => {
            let cursor = Some(load::cursor(link, chain).await?);
            let notices = notices::all(link, chain).await?;
            let mut snapshot = Snapshot { cursor, notices, ..Snapshot::default() };
            let accounts = answers.blacklisted.iter().flatten().map(|(account, _)| *account);
            snapshot.owners = owners(link, &Vec::from_iter(accounts)).await?;
            Ok(snapshot)
        }
        Update::ReconcileFailed { .. } => Ok(Snapshot::default()),
        Update::Stall { chain, .. }
        | Update::Pause { chain, .. }
        | Update::Resume { chain, .. } => {
            let cursor = Some(load::cursor(link, chain).await?);
            Ok(Snapshot { cursor, ..Snapshot::default() })
        }
        Update::Create(order) => {
            let mut parts = Parts::default();
            parts.wanted.insert(order.id.clone());
            let named: Vec<Address> =
                [Some(order.address), order.refund_to].into_iter().flatten().collect();
            parts.snapshot.owners = owners(link, &named).await?;
            parts.finish(link).await
        }
        Update::Cancel(order) => {
            let mut parts = Parts::default();
            parts.wanted.insert(order.clone());
            let mut snapshot = parts.finish(link).await?;
            if let Some(dossier) = snapshot.dossiers.get(order) {
                snapshot.cursor = Some(load::cursor(link, &dossier.order.chain).await?);
            }
            Ok(snapshot)
        }
        Update::Resolve { case, resolution, .. } => {
            let mut parts = Parts::of_case(link, case).await?;
            match resolution {
                Resolution::Reassign(order) => {
                    parts.wanted.insert(order.clone());
                }
                Resolution::Refund { to, .. } => {
                    parts.snapshot.owners = owners(link, &[*to]).await?;
                }
                Resolution::Credit | Resolution::Dismiss | Resolution::Itself => {}
            }
            parts.finish(link).await
        }
        Update::Withdraw { case, .. } => Parts::of_case(link, case).await?.finish(link).await,
        Update::Refund { case, fact, .. } => {
            let mut parts = Parts::of_case(link, case).await?;
            let (RefundFact::Sent(tx) | RefundFact::Seen(tx, _) | RefundFact::GivenUp(tx, _)) =
                fact;
            if let Some(chain) = parts.snapshot.cursor.as_ref().map(|cursor| cursor.chain.clone()) {
                parts.snapshot.spent = cases::spent(link, &chain, tx).await?;
                if let RefundFact::Sent(tx) = fact {
                    let found = outflows::of_tx(link, &chain, tx).await?;
                    parts.wanted.extend(outflows::orders(&found));
                    parts.snapshot.outflows = found.into_values().collect();
                    parts.snapshot.refunds = cases::sent(link, &chain, &[*tx]).await?;
                }
            }
            let mut snapshot = parts.finish(link).await?;
            outflows::fill_cases(link, &mut snapshot).await?;
            Ok(snapshot)
        }
    }
}

/// Whose these addresses are; those that are not ours are absent.
async fn owners(
    link: &mut Link<'_>,
    addresses: &[Address],
) -> Result<BTreeMap<Address, Option<OrderId>>, Error> {
    let mut owners = BTreeMap::new();
    load::owners(link, addresses, |owned| {
        owners.insert(owned.address, owned.order.map(|dossier| dossier.order.id));
    })
    .await?;
    Ok(owners)
}

/// A snapshot in the making.
#[derive(Default)]
struct Parts {
    snapshot: Snapshot,
    dossiers: BTreeMap<OrderId, Dossier>,
    /// Orders that are wanted and not loaded.
    wanted: BTreeSet<OrderId>,
    unassigned: Numbered<payments::deposit::Deposit>,
    /// A case of no order and no deposit.
    bare: Option<payments::case::Case>,
}

impl Parts {
    /// The chain's cursor, and what is recorded of it that a reorg or finality can still change;
    /// with what is above `base`, where that is lower.
    async fn of_chain(
        link: &mut Link<'_>,
        chain: &ChainName,
        base: Option<u64>,
    ) -> Result<Self, Error> {
        let cursor = load::cursor(link, chain).await?;
        let finalized = floor(&cursor, base)?;
        let mut parts = Self::default();
        parts.snapshot.cursor = Some(cursor);
        let from = "FROM (SELECT order_id FROM deposits WHERE chain = $1 AND height > $2 UNION \
            SELECT order_id FROM deposits WHERE chain = $1 AND state = 'pending') AS d";
        let text = packed(&["d.order_id"], from) + PACKED_END;
        let mut unassigned = false;
        let wanted = &mut parts.wanted;
        link.select(text, above(chain, finalized)?, |line| {
            if line.is_empty() {
                unassigned = true;
            } else {
                wanted.insert(row::Fields::new("deposits", line).parse("order_id", row::order_id)?);
            }
            Ok(())
        })
        .await?;
        if unassigned {
            let from = "FROM deposits AS d WHERE d.order_id IS NULL AND d.chain = $1 \
                AND (d.height > $2 OR d.state = 'pending')";
            let (read, binds) = ((row::DEPOSIT.as_slice(), from), above(chain, finalized)?);
            parts.unassigned = load::numbered(link, read, binds, row::deposit).await?;
        }
        Ok(parts)
    }

    /// What is recorded of a case: its chain's cursor, and its order, or its deposits where it has
    /// none.
    async fn of_case(link: &mut Link<'_>, id: &CaseId) -> Result<Self, Error> {
        let mut parts = Self::default();
        let Some((seq, case)) = cases::case(link, id).await? else {
            return Ok(parts);
        };
        parts.snapshot.cursor = Some(load::cursor(link, &case.chain).await?);
        parts.snapshot.left = outflows::amount(link, &case).await?;
        match &case.order {
            Some(order) => {
                parts.wanted.insert(order.clone());
            }
            None if case.deposits.is_empty() => parts.bare = Some(case),
            None => parts.unassigned = load::deposits_of_case(link, seq).await?,
        }
        Ok(parts)
    }

    /// Who owns the addresses these transfers went to or came from, or these notices are about; and
    /// the recorded deposits among the transfers that somebody else may own, or nobody: a
    /// transaction that a reorg took from one order may pay another when it is mined again, and an
    /// imported address may have found its order since.
    async fn receive(
        &mut self,
        link: &mut Link<'_>,
        chain: &ChainName,
        Seen { transfers, notices }: Seen<'_>,
    ) -> Result<(), Error> {
        let ends = transfers.iter().flat_map(|transfer| [transfer.to, transfer.from]);
        let about = notices.iter().filter_map(|notice| notice.what.account());
        let ends: BTreeSet<Address> = ends.chain(about).collect();
        let ends: Vec<Address> = ends.into_iter().collect();
        let (owners, dossiers) = (&mut self.snapshot.owners, &mut self.dossiers);
        load::owners(link, &ends, |owned| {
            let order = owned.order.as_ref().map(|dossier| dossier.order.id.clone());
            owners.insert(owned.address, order);
            dossiers.extend(owned.order.map(|dossier| (dossier.order.id.clone(), dossier)));
        })
        .await?;
        // Which token is the configured one is a rule, so both ids are asked for.
        let ids: Vec<DepositId> = transfers
            .iter()
            .filter(|transfer| owners.contains_key(&transfer.to))
            .flat_map(|transfer| {
                [None, Some(transfer.token)].map(|other_token| DepositId {
                    chain: chain.clone(),
                    tx: transfer.tx,
                    n: transfer.n,
                    other_token,
                })
            })
            .collect();
        for (seq, deposit) in load::elsewhere(link, &ids).await? {
            match &deposit.order {
                Some(order) => {
                    self.wanted.insert(order.clone());
                }
                None => {
                    self.unassigned.insert(seq, deposit);
                }
            }
        }
        Ok(())
    }

    /// What left these addresses before, and may be looked at again.
    async fn send(
        &mut self,
        link: &mut Link<'_>,
        chain: &ChainName,
        seen: Seen<'_>,
        base: Option<u64>,
    ) -> Result<(), Error> {
        let cursor = self.snapshot.cursor.as_ref();
        let finalized = cursor.map_or(Ok(-1), |cursor| floor(cursor, base))?;
        let found = outflows::touched(link, chain, finalized, seen, &self.snapshot).await?;
        self.wanted.extend(outflows::orders(&found));
        self.snapshot.outflows = found.into_values().collect();
        let noted = notices::touched(link, chain, finalized, seen.notices, &self.snapshot).await?;
        self.snapshot.notices = noted;
        Ok(())
    }

    /// Wants the orders that a query for their ids finds.
    async fn orders(&mut self, link: &mut Link<'_>, text: &str, binds: Binds) -> Result<(), Error> {
        link.select(text.to_owned(), binds, |line| {
            let id = row::Fields::new("orders", line).parse("id", row::order_id)?;
            self.wanted.insert(id);
            Ok(())
        })
        .await
    }

    async fn finish(mut self, link: &mut Link<'_>) -> Result<Snapshot, Error> {
        let mut dossiers = std::mem::take(&mut self.dossiers);
        let missing = self.wanted.into_iter().filter(|id| !dossiers.contains_key(id));
        let missing: Vec<OrderId> = missing.collect();
        load::orders(link, &missing, |dossier, _| {
            dossiers.insert(dossier.order.id.clone(), dossier);
        })
        .await?;
        load::fill(link, &mut dossiers).await?;
        let seqs: Vec<i64> = self.unassigned.keys().copied().collect();
        let (mut cases, journals) = load::of_deposits(link, &seqs).await?;
        cases.extend(self.bare);
        Ok(Snapshot {
            dossiers: dossiers.into_iter().map(|(id, dossier)| (id, Arc::new(dossier))).collect(),
            unassigned: self.unassigned.into_values().collect(),
            unassigned_cases: cases,
            unassigned_journals: journals,
            ..self.snapshot
        })
    }
}

/// The height up to which a chain takes nothing back, or `base` where that is lower. A height is
/// never below zero, so -1 is below every deposit.
fn floor(cursor: &Cursor, base: Option<u64>) -> Result<i64, Error> {
    let Some(block) = cursor.finalized else { return Ok(-1) };
    let height = base.map_or(block.height, |base| base.min(block.height));
    row::signed("chains", "finalized_height", &cursor.chain, height)
}

fn above(chain: &ChainName, height: i64) -> Result<Binds, Error> {
    let mut binds = Binds::default();
    binds.text(chain.to_string())?;
    binds.int(height)?;
    Ok(binds)
}

fn text_of_expiring(engine: Engine) -> String {
    let from = match engine {
        Engine::Sqlite => {
            "FROM (SELECT id FROM orders WHERE chain = $1 AND expires_at < $2 AND paid IS NULL \
             AND expired IS NULL AND cancelled IS NULL AND expires_at IS NOT NULL \
             ORDER BY expires_at LIMIT $3) AS o"
        }
        // A thousand rows of orders that are over would otherwise stand before all others for good.
        Engine::Postgres => {
            "FROM (SELECT orders.id FROM expiries JOIN orders ON orders.number = expiries.number \
             WHERE expiries.chain = $1 AND expiries.expires_at < $2 AND orders.paid IS NULL \
             AND orders.expired IS NULL AND orders.cancelled IS NULL \
             ORDER BY expiries.expires_at LIMIT $3) AS o"
        }
    };
    packed(&["o.id"], from) + PACKED_END
}

fn expiring(chain: &ChainName, now: i64) -> Result<Binds, Error> {
    let mut binds = above(chain, now)?;
    binds.int(EXPIRING)?;
    Ok(binds)
}
