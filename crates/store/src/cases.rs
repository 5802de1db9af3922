//! Steps of cases: what was proposed, and what became of refunds.
//!
//! In: cases as a plan left them. Out: rows that are added and never changed; lists of refunds.
//! Never: a transfer that pays two refunds; the engine itself refuses it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use payments::case::{Case, CaseId, RefundState, Resolution, Step, StepKind};
use payments::chain::TxHash;
use payments::changes::Sent;
use payments::deposit::DepositId;
use payments::name::{ChainName, CustomerId, OrderId};

use crate::Store;
use crate::commit::or_conflict;
use crate::error::Error;
use crate::load::{self, Numbered, by_number};
use crate::row::{self, hex, printable};
use crate::sql::{Binds, Bulk, Link, PACKED_END, packed};

/// Which cases to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CaseFilter {
    /// Only those that are not decided.
    pub open: bool,
    /// Only those with a refund that is this far.
    pub refund: Option<RefundState>,
    /// Only those with a refund, however far.
    pub refunds: bool,
    /// Only those of this order.
    pub order: Option<OrderId>,
    /// Only those about money on this chain.
    pub chain: Option<ChainName>,
}

impl Store {
    /// At most `limit` cases opened after the one with number `after`, with their numbers; only
    /// those without a decision where `open`.
    ///
    /// # Errors
    /// [`Error::Broken`] where a row does not parse, and what the engine says.
    pub async fn cases(
        &self,
        open: bool,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(u64, Case)>, Error> {
        self.cases_of(&CaseFilter { open, ..CaseFilter::default() }, after, limit).await
    }

    /// At most `limit` cases that fit `filter`, opened after the one with number `after`, with
    /// their numbers.
    ///
    /// # Errors
    /// [`Error::Broken`] where a row does not parse, and what the engine says.
    pub async fn cases_of(
        &self,
        filter: &CaseFilter,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(u64, Case)>, Error> {
        let mut conditions = String::new();
        for (wanted, condition) in [
            (filter.open, " AND resolution IS NULL"),
            (filter.refunds, " AND refund IS NOT NULL"),
            (filter.refund.is_some(), " AND refund = $3"),
            (filter.order.is_some(), " AND order_id = $4"),
            (filter.chain.is_some(), " AND chain = $5"),
        ] {
            conditions.push_str(if wanted { condition } else { "" });
        }
        // The casts give the parameters a type where the conditions that use them are left out.
        let from = format!(
            "FROM (SELECT * FROM cases WHERE seq > $1 AND (CAST($3 AS TEXT) IS NULL \
             OR CAST($4 AS TEXT) IS NULL OR CAST($5 AS TEXT) IS NULL OR TRUE){conditions} \
             ORDER BY seq LIMIT $2) AS c"
        );
        let mut binds = Binds::default();
        binds.int(i64::try_from(after).unwrap_or(i64::MAX))?;
        binds.int(i64::from(limit))?;
        binds.text_or_null(filter.refund.map(|state| state.word().to_owned()))?;
        binds.text_or_null(filter.order.as_ref().map(ToString::to_string))?;
        binds.text_or_null(filter.chain.as_ref().map(ToString::to_string))?;
        self.cases_where(&from, binds).await
    }
}

/// A refund that was seen on chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenRefund {
    /// Its case.
    pub case: CaseId,
    /// The transaction that pays it.
    pub tx: TxHash,
    /// The height of the block it was seen in.
    pub height: u64,
}

impl Store {
    /// The refunds on `chain` that were seen in blocks above `height`, by their cases. In which
    /// block that was is in the event alone.
    ///
    /// # Errors
    /// [`Error::Broken`] where a row does not parse, and what the engine says.
    pub async fn refunds_seen_above(
        &self,
        chain: &ChainName,
        height: u64,
    ) -> Result<Vec<SeenRefund>, Error> {
        let from = "FROM events AS v WHERE v.kind = 'refund.verified' AND v.chain = $1";
        let text = packed(&["v.case_id", "v.data"], from) + PACKED_END;
        let mut binds = Binds::default();
        binds.text(chain.to_string())?;
        let mut seen = BTreeMap::new();
        let mut connection = self.reader().await?;
        let mut link = self.link(&mut connection);
        link.select(text, binds, |line| {
            let mut fields = row::Fields::new("events", line);
            let case = CaseId(fields.text("case_id")?.to_owned());
            let (tx, at) = fields.parse("data", told_of)?;
            seen.insert(case.clone(), SeenRefund { case, tx, height: at });
            Ok(())
        })
        .await?;
        Ok(seen.into_values().filter(|refund| refund.height > height).collect())
    }
}

/// The transaction of a refund that was seen, and the height of its block.
fn told_of(data: &str) -> Option<(TxHash, u64)> {
    let data: BTreeMap<String, String> = serde_json::from_str(data).ok()?;
    Some((TxHash::parse(data.get("tx")?)?, data.get("height")?.parse().ok()?))
}

/// The word of a decision and its terms, as four columns.
pub(crate) fn bind_resolution(
    binds: &mut Binds,
    resolution: Option<&Resolution>,
) -> Result<(), Error> {
    let (refund_to, fee, reassigned_to) = match resolution {
        Some(Resolution::Refund { to, fee }) => (Some(hex(&to.0)), Some(fee.micro()), None),
        Some(Resolution::Reassign(order)) => (None, None, Some(order.to_string())),
        Some(Resolution::Credit | Resolution::Dismiss | Resolution::Itself) | None => {
            (None, None, None)
        }
    };
    binds.text_or_null(resolution.map(|resolution| resolution.word().to_owned()))?;
    binds.text_or_null(refund_to)?;
    binds.int_or_null(fee)?;
    binds.text_or_null(reassigned_to)
}

/// Adds the steps that are not there yet.
pub(crate) async fn write_steps(link: &mut Link<'_>, cases: &[Case]) -> Result<(), Error> {
    let mut steps: Vec<(&Case, i64, &Step)> = Vec::new();
    for case in cases {
        steps.extend((1i64..).zip(&case.steps).map(|(place, step)| (case, place, step)));
    }
    let written = link.write(&STEPS, &steps, |binds, (case, place, step)| {
        binds.text(case.id.0.clone())?;
        binds.int(*place)?;
        binds.text(step.kind.word().to_owned())?;
        binds.text(printable(&step.by))?;
        binds.text(printable(&step.why))?;
        binds.int(step.at.0)?;
        let proposed = match &step.kind {
            StepKind::Proposed(resolution) => Some(resolution),
            _ => None,
        };
        bind_resolution(binds, proposed)?;
        let (tx, paid_by) = match &step.kind {
            StepKind::Sent(tx) | StepKind::Failed(tx) => (Some(tx), None),
            StepKind::Verified { tx, n } => (Some(tx), Some(transfer(&case.chain, tx, *n))),
            StepKind::Proposed(_) | StepKind::Withdrawn => (None, None),
        };
        binds.text_or_null(tx.map(ToString::to_string))?;
        binds.text_or_null(paid_by)
    });
    // Another refund took the transfer in this moment.
    let taken = || Error::Conflict("a transfer that pays a refund".to_owned());
    written.await.map(|_| ()).map_err(|error| or_conflict(error, taken))
}

/// A transfer of the configured token, as deposits are named.
fn transfer(chain: &ChainName, tx: &TxHash, n: u32) -> String {
    DepositId { chain: chain.clone(), tx: *tx, n, other_token: None }.to_string()
}

static STEPS: LazyLock<Bulk> = LazyLock::new(|| Bulk {
    name: "write steps of cases",
    head: "WITH v (case_id, place, word, step_by, why, step_at, resolution, refund_to, fee, \
        reassigned_to, tx, paid_by) AS (VALUES"
        .to_owned(),
    columns: 12,
    tail: ") INSERT INTO case_steps (case_seq, place, word, step_by, why, step_at, resolution, \
        refund_to, fee, reassigned_to, tx, paid_by) SELECT c.seq, v.place, v.word, v.step_by, \
        v.why, v.step_at, v.resolution, v.refund_to, v.fee, v.reassigned_to, v.tx, v.paid_by \
        FROM v JOIN cases AS c ON c.id = v.case_id WHERE TRUE \
        ON CONFLICT (case_seq, place) DO NOTHING",
});

static STEPS_OF_CASES: LazyLock<Bulk> = LazyLock::new(|| Bulk {
    name: "steps of cases",
    head: format!("{} IN (", packed(&row::STEP, "FROM case_steps AS s WHERE s.case_seq")),
    columns: 1,
    tail: ")) AS lines",
});

/// Adds the steps of these cases, in their places.
pub(crate) async fn read_steps(
    link: &mut Link<'_>,
    cases: &mut Numbered<Case>,
) -> Result<(), Error> {
    let seqs: Vec<i64> = cases.keys().copied().collect();
    let mut steps = BTreeMap::new();
    link.read(&STEPS_OF_CASES, &seqs, by_number, |line| {
        let (seq, place, step) = row::step(line)?;
        steps.insert((seq, place), step);
        Ok(())
    })
    .await?;
    for ((seq, _), step) in steps {
        if let Some(case) = cases.get_mut(&seq) {
            case.steps.push(step);
        }
    }
    Ok(())
}

/// The case of an id, whole.
pub(crate) async fn case(link: &mut Link<'_>, id: &CaseId) -> Result<Option<(i64, Case)>, Error> {
    let mut binds = Binds::default();
    binds.text(printable(&id.0))?;
    let mut found = load::cases_from(link, "FROM cases AS c WHERE c.id = $1", binds).await?;
    Ok(found.pop_first())
}

/// The places of the transfers of a transaction that have paid a refund.
pub(crate) async fn spent(
    link: &mut Link<'_>,
    chain: &ChainName,
    tx: &TxHash,
) -> Result<BTreeSet<u32>, Error> {
    let from = "FROM case_steps AS s WHERE s.paid_by > $1 AND s.paid_by < $2";
    let text = packed(&["s.paid_by"], from) + PACKED_END;
    let mut binds = Binds::default();
    binds.text(format!("{chain}:{tx}:"))?;
    binds.text(format!("{chain}:{tx};"))?;
    let mut spent = BTreeSet::new();
    link.select(text, binds, |line| {
        let id = row::Fields::new("case_steps", line).parse("paid_by", DepositId::parse)?;
        spent.insert(id.n);
        Ok(())
    })
    .await?;
    Ok(spent)
}

/// What was recorded as sent for refunds on `chain` by one of `txs`, and was not found to fail.
pub(crate) async fn sent(
    link: &mut Link<'_>,
    chain: &ChainName,
    txs: &[TxHash],
) -> Result<Sent, Error> {
    let mut sent = Sent::new();
    let bind = |binds: &mut Binds, tx: &TxHash| binds.text(hex(&tx.0));
    link.read(&SENT, txs, bind, |line| {
        let mut fields = row::Fields::new("case_steps", line);
        let tx = fields.parse("tx", TxHash::parse)?;
        let to = fields.parse("refund_to", row::address)?;
        let held = fields.parse("amount", row::usdt)?;
        let net = held.minus_or_zero(fields.parse("fee", row::usdt)?);
        if fields.parse("chain", |name| ChainName::new(name).ok())? == *chain {
            let refunds = sent.entry((tx, to, net)).or_default();
            *refunds = refunds.saturating_add(1);
        }
        Ok(())
    })
    .await?;
    Ok(sent)
}

static SENT: LazyLock<Bulk> = LazyLock::new(|| {
    let from = "FROM case_steps AS s JOIN cases AS c ON c.seq = s.case_seq \
        WHERE s.word = 'sent' AND NOT EXISTS (SELECT 1 FROM case_steps AS f \
        WHERE f.case_seq = s.case_seq AND f.place > s.place AND f.word = 'failed') AND s.tx";
    let columns = ["s.tx", "c.refund_to", "c.amount", "c.fee", "c.chain"];
    let head = format!("{} IN (", packed(&columns, from));
    Bulk { name: "refunds sent", head, columns: 1, tail: ")) AS lines" }
});

impl Store {
    /// The open cases of all orders of a customer, at most `limit`, in the order of opening.
    ///
    /// # Errors
    /// [`Error::Broken`] where a row does not parse, and what the engine says.
    pub async fn open_cases_of_customer(
        &self,
        customer: &CustomerId,
        limit: u32,
    ) -> Result<Vec<Case>, Error> {
        let from = "FROM (SELECT cases.* FROM orders JOIN cases ON cases.order_id = orders.id \
            WHERE orders.customer = $1 AND cases.resolution IS NULL \
            ORDER BY cases.seq LIMIT $2) AS c";
        let mut binds = Binds::default();
        binds.text(customer.to_string())?;
        binds.int(i64::from(limit))?;
        Ok(self.cases_where(from, binds).await?.into_iter().map(|(_, case)| case).collect())
    }
}
