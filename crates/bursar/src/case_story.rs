//! The story of a case: what a supporter needs to answer the customer, and what to type next.
//!
//! In: a case with its order and its chain. Out: text and JSON.
//! Never: a decision; an arithmetic that the rules do not do.
//! Why: who decides must see both transactions, the fee worked out, and what is possible.

use payments::amount::Usdt;
use payments::case::{Case, CaseKind, RefundState, Resolution, StepKind};
use payments::chain::Cursor;
use payments::deposit::{Deposit, State};
use payments::order::Dossier;
use serde_json::{Value, json};

use crate::cases;
use crate::clock::rfc3339;
use crate::config::Chain;
use crate::error::Error;
use crate::open::Opened;
use crate::outflows::{self, Left};

/// A case with what is known around it.
pub(crate) struct CaseStory {
    pub(crate) case: Case,
    dossier: Option<Dossier>,
    deposits: Vec<Deposit>,
    /// What left, where it is about that.
    left: Option<Left>,
    cursor: Cursor,
}

/// Something a person can type now.
struct Way {
    resolution: &'static str,
    command: String,
    effect: String,
}

/// Whether somebody has more credits by it.
fn is_credited(resolution: &str) -> bool {
    matches!(resolution, "credit" | "reassign")
}

/// What is kept of a refund of this case by the config.
pub(crate) fn usual_fee(chain: &Chain, case: &Case) -> Usdt {
    if case.kind == CaseKind::WrongNetwork { chain.recovery_fee } else { chain.refund_fee }
}

impl CaseStory {
    pub(crate) async fn gather(opened: &Opened, case: Case) -> Result<Self, Error> {
        let store = &opened.books.store;
        let dossier = match &case.order {
            Some(id) => store.order(id).await?,
            None => None,
        };
        let deposits = match &dossier {
            Some(dossier) => dossier.deposits.clone(),
            None => {
                let mut found = Vec::new();
                for id in &case.deposits {
                    let deposits = store.deposits_of_tx(&id.tx).await?.into_iter();
                    found.extend(deposits.filter(|d| d.id == *id && d.order.is_none()));
                }
                found
            }
        };
        let cursor = store.cursor(&case.chain).await?;
        let left = outflows::of_case(opened, &case).await?;
        Ok(Self { case, dossier, deposits, left, cursor })
    }

    pub(crate) fn json(&self, opened: &Opened) -> Value {
        let order = self.dossier.as_ref().map(|dossier| &dossier.order);
        let mut value = opened.view.case_json(&self.case, order);
        if let Value::Object(fields) = &mut value {
            let waits = self.waits_for();
            fields.insert("at_stake".to_owned(), json!(self.about().to_string()));
            fields.insert("decidable".to_owned(), json!(waits.is_none()));
            fields.insert("waits_for".to_owned(), json!(waits));
            fields.insert("crediting_paused".to_owned(), json!(self.paused()));
            if let Some(left) = &self.left {
                fields.insert("left".to_owned(), outflows::as_json(&opened.view, left));
            }
            let ways = self.ways(opened).into_iter().map(|way| {
                json!({
                    "resolution": way.resolution,
                    "command": way.command,
                    "effect": way.effect,
                })
            });
            fields.insert("possible".to_owned(), Value::Array(ways.collect()));
        }
        value
    }

    pub(crate) fn text(&self, opened: &Opened) -> String {
        let case = &self.case;
        let (kind, amount, at) = (case.kind.word(), self.about(), rfc3339(case.opened_at));
        let mut lines = vec![format!("Case {}: {kind} of {amount} USDT, opened {at}.", case.id)];
        lines.extend(self.transactions(opened));
        for step in &case.steps {
            let what = match &step.kind {
                StepKind::Proposed(resolution) => {
                    format!("proposed to {}", opened.view.terms(case, resolution))
                }
                StepKind::Withdrawn => "took the proposal back".to_owned(),
                StepKind::Sent(tx) => {
                    format!("said it was sent in {}", opened.view.tx(&case.chain, tx))
                }
                StepKind::Verified { tx, .. } => {
                    format!("saw {} on chain", opened.view.tx(&case.chain, tx))
                }
                StepKind::Failed(tx) => {
                    format!("found that {} does not pay it", opened.view.tx(&case.chain, tx))
                }
            };
            let why = if step.why.is_empty() { String::new() } else { format!(": {}", step.why) };
            lines.push(format!("{} {} {what}{why}", rfc3339(step.at), step.by));
        }
        if let Some(decision) = &case.decision {
            let terms = opened.view.terms(case, &decision.resolution);
            let at = rfc3339(decision.at);
            lines.push(format!("Decided {at} by {}: {terms}: {}", decision.by, decision.why));
        }
        lines.extend(self.refund_lines(opened));
        if let Some(waits) = self.waits_for() {
            lines.push(waits);
        } else if let Some(why) = self.paused() {
            let chain = &case.chain;
            lines.push(format!(
                "Crediting on {chain} is paused: {why}. Until a person has found out why, and lets \
                 it go on with `bursar chain resume {chain} --by NAME --why TEXT`, this can be \
                 neither credited nor reassigned."
            ));
        }
        let ways = self.ways(opened);
        if !ways.is_empty() {
            lines.push("What can be typed now:".to_owned());
        }
        for way in ways {
            lines.push(format!("  {}\n      {}", way.command, way.effect));
        }
        lines.join("\n") + "\n"
    }

    /// The transfers it is about; of a duplicate also those that had paid the order.
    fn transactions(&self, opened: &Opened) -> Vec<String> {
        let mut lines = Vec::new();
        for deposit in &self.deposits {
            let about = self.case.deposits.contains(&deposit.id);
            let word = match (about, self.case.kind, deposit.state) {
                (true, CaseKind::Duplicate, _) => "paid again:",
                (true, ..) => "arrived:",
                (false, CaseKind::Duplicate, State::Credited) => "paid first:",
                _ => continue,
            };
            let chain = &deposit.id.chain;
            lines.push(format!(
                "{word:<12} {} USDT on {chain} in {}, block {}, {}, from {}",
                deposit.amount,
                opened.view.tx(chain, &deposit.id.tx),
                deposit.block.height,
                rfc3339(deposit.time),
                opened.view.spelled(chain, &deposit.from),
            ));
        }
        lines
    }

    fn refund_lines(&self, opened: &Opened) -> Vec<String> {
        let Some(refund) = self.case.refund() else { return Vec::new() };
        let (held, fee, net) = (self.case.amount, refund.fee, refund.net);
        let to = opened.view.spelled(&self.case.chain, &refund.to);
        let state = refund.state.word();
        vec![format!("Refund {state}: {held} held - {fee} fee = {net} USDT to {to}")]
    }

    /// Why nothing can be decided yet, where that is so.
    fn waits_for(&self) -> Option<String> {
        if self.case.decision.is_some() || self.case.kind == CaseKind::ReversedAfterCredit {
            return None;
        }
        let about = self.deposits.iter().filter(|d| self.case.deposits.contains(&d.id));
        let height = about.map(|deposit| deposit.block.height).max()?;
        let finalized = self.cursor.finalized.map(|block| block.height);
        let chain = &self.case.chain;
        match finalized {
            Some(finalized) if height <= finalized => None,
            Some(finalized) => Some(format!(
                "It can be decided once block {height} of {chain} is final; {finalized} is now."
            )),
            None => Some(format!("It can be decided once block {height} of {chain} is final.")),
        }
    }

    /// Why crediting is paused, where that keeps a decision from being made.
    fn paused(&self) -> Option<&str> {
        let mut kinds = self.case.kind.resolutions().iter();
        let credits = kinds.any(|word| is_credited(word)) && !self.case.amount.is_zero();
        self.cursor.paused.as_deref().filter(|_| credits && self.case.decision.is_none())
    }

    fn ways(&self, opened: &Opened) -> Vec<Way> {
        let id = &self.case.id;
        if let Some(refund) = self.case.refund() {
            let sent = "says which transaction pays it; the chain is then asked".to_owned();
            let command = format!("bursar refund sent {id} --tx TXID --by NAME");
            let way = |command, effect| vec![Way { resolution: "refund", command, effect }];
            return match refund.state {
                RefundState::Requested | RefundState::Failed => way(command, sent),
                RefundState::Sent => {
                    way("bursar refund check".to_owned(), "asks the chain now".to_owned())
                }
                RefundState::Verified => Vec::new(),
            };
        }
        if self.case.decision.is_some() || self.waits_for().is_some() {
            return Vec::new();
        }
        let who = "--by NAME --why TEXT";
        if let Some((resolution, step)) = self.case.proposal() {
            let terms = opened.view.arguments(&self.case, resolution);
            let word = self.case.kind.resolutions().iter().find(|word| **word == resolution.word());
            let effect = format!("confirms it, by another person than {}", step.by);
            let command = format!("bursar case resolve {id} {terms} {who}");
            let confirm = Way { resolution: word.copied().unwrap_or("withdraw"), command, effect };
            let (resolution, command) = ("withdraw", format!("bursar case withdraw {id} {who}"));
            let effect = "takes the proposal back".to_owned();
            let withdraw = Way { resolution, command, effect };
            return [confirm, withdraw].into_iter().filter(|way| self.is_open_to(way)).collect();
        }
        let all = self.case.kind.resolutions();
        let fitting = all.iter().filter(|word| **word == "dismiss" || !self.case.amount.is_zero());
        let ways = fitting.map(|word| self.way(opened, word));
        ways.filter(|way| self.is_open_to(way)).collect()
    }

    /// Whether no pause forbids it: a paused chain is credited to nobody.
    fn is_open_to(&self, way: &Way) -> bool {
        self.cursor.paused.is_none() || !is_credited(way.resolution)
    }

    fn way(&self, opened: &Opened, resolution: &'static str) -> Way {
        let case = &self.case;
        let start = format!("bursar case resolve {} {resolution}", case.id);
        let (terms, effect) = match resolution {
            "credit" => ("", self.credit_effect()),
            "refund" => return self.refund_way(opened, &start),
            "reassign" => (" --order ORDER", "counts it for that order instead".to_owned()),
            _ if self.left.is_some() => {
                ("", "closes the case; TEXT says for ever what took the money".to_owned())
            }
            _ if case.amount.is_zero() => ("", "closes the case; it holds nothing".to_owned()),
            _ => ("", format!("keeps {} USDT and credits nothing", case.amount)),
        };
        let command = format!("{start}{terms} --by NAME --why TEXT");
        Way { resolution, command, effect: format!("{effect}{}", self.bound(opened)) }
    }

    fn credit_effect(&self) -> String {
        let Some(dossier) = &self.dossier else { return "credits it".to_owned() };
        let order = &dossier.order;
        let amount = self.case.amount;
        let pays = order.due.is_some() && dossier.paid.is_none() && dossier.covers(amount);
        let agreed = order.due.filter(|due| {
            // More than is due is worth what it is.
            pays && amount.minus_or_zero(*due) <= order.terms.tolerance
        });
        let worth = agreed.unwrap_or(amount);
        let credits = order.price.credits(worth, order.due);
        let credits = credits.map_or_else(|| "its".to_owned(), |(credits, _)| credits.to_string());
        let paid = if pays { self.then_paid(dossier) } else { String::new() };
        format!("grants {} {credits} credits{paid}", order.customer)
    }

    /// That the order is paid by it, and what becomes of what had counted for it.
    fn then_paid(&self, dossier: &Dossier) -> String {
        let besides = dossier.deposits.iter().filter(|deposit| {
            deposit.state == State::Confirmed && !self.case.deposits.contains(&deposit.id)
        });
        let besides: Vec<String> = besides.map(|deposit| deposit.amount.to_string()).collect();
        let paid = "; the order is then paid";
        match besides.as_slice() {
            [] => paid.to_owned(),
            [one] => format!("{paid}, and {one} USDT that had counted for it is a duplicate"),
            several => {
                let several = several.join(", ");
                format!("{paid}, and what had counted for it ({several} USDT) are duplicates")
            }
        }
    }

    fn refund_way(&self, opened: &Opened, start: &str) -> Way {
        let case = &self.case;
        let chain = opened.config.chains.get(&case.chain);
        let fee = chain.map_or(Usdt::ZERO, |chain| usual_fee(chain, case));
        let net = case.amount.minus_or_zero(fee);
        let order = self.dossier.as_ref().map(|dossier| &dossier.order);
        let named = order.filter(|order| order.chain == case.chain);
        let named = named.and_then(|order| order.refund_to);
        let (to, whom) = match named {
            Some(to) => (String::new(), opened.view.spelled(&case.chain, &to)),
            None => (
                " --to ADDRESS".to_owned(),
                "an address the customer states; a second person confirms it".to_owned(),
            ),
        };
        let sum = format!("{} - {fee} = {net}", case.amount);
        let effect = if net.is_zero() {
            format!("the usual fee of {fee} leaves nothing; state a smaller --fee")
        } else {
            format!(
                "owes {sum} USDT to {whom}{}; whoever holds the key sends it",
                self.bound(opened)
            )
        };
        let command = format!("{start}{to} --by NAME --why TEXT");
        Way { resolution: "refund", command, effect }
    }

    fn left(&self) -> Option<Usdt> {
        self.left.as_ref().map(|left| left.outflow.amount)
    }

    /// What it is about, as it is told.
    fn about(&self) -> Usdt {
        cases::at_stake(&self.case, self.left(), &self.deposits)
    }

    /// That the amount alone asks for a second person.
    fn bound(&self, opened: &Opened) -> &'static str {
        let rules = opened.books.rules.get(&self.case.chain);
        let above = rules.and_then(|rules| rules.bounds.two_person_above);
        if above.is_some_and(|above| self.case.at_stake(self.left()) > above) {
            "; above the bound: a second person confirms it"
        } else {
            ""
        }
    }
}

impl crate::view::View {
    /// A decision with its terms, addresses as the chain of the case spells them.
    #[must_use]
    pub fn terms(&self, case: &Case, resolution: &Resolution) -> String {
        match resolution {
            Resolution::Refund { to, fee } => {
                let net = case.amount.minus_or_zero(*fee);
                let to = self.spelled(&case.chain, to);
                format!("refund {} - {fee} = {net} USDT to {to}", case.amount)
            }
            other => other.terms(),
        }
    }

    /// A decision as it is typed.
    pub(crate) fn arguments(&self, case: &Case, resolution: &Resolution) -> String {
        match resolution {
            Resolution::Refund { to, fee } => {
                format!("refund --to {} --fee {fee}", self.spelled(&case.chain, to))
            }
            Resolution::Reassign(order) => format!("reassign --order {order}"),
            other => other.word().to_owned(),
        }
    }
}
