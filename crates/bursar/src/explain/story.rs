//! The story of what is in the books, told piece by piece.
//!
//! In: what a term names. Out: the same facts as text and as JSON.
//! Never: an order told twice. Why: a case, its deposit and its order lead to one story.

use payments::address::Address;
use payments::case::{CaseId, CaseKind, RefundState};
use payments::deposit::{Deposit, State};
use payments::name::OrderId;
use payments::order::Dossier;
use serde_json::{Value, json};
use store::Found;

use crate::case_story::CaseStory;
use crate::error::Error;
use crate::notices;
use crate::open::Opened;
use crate::outflows::{self, Left};
use crate::view;

use super::facts::{Feed, Place, TOLD};
use super::next::next_step;
use super::other;
use super::reason::{reason, settled};

/// What there is to tell, for people and for programs.
#[derive(Default)]
pub(super) struct Story {
    pub(super) text: String,
    pub(super) json: Vec<Value>,
    /// How many outflows are not told.
    pub(super) more_outflows: u64,
}

impl Story {
    /// Tells what `term`, as it was typed, was found to be.
    pub(super) async fn tell_found(
        &mut self,
        opened: &Opened,
        (term, found): (&str, &Found),
        told: &mut Vec<OrderId>,
    ) -> Result<(), Error> {
        let owner = match found {
            Found::Order(id) => Some(id.clone()),
            Found::Deposit(id) => {
                let deposits = opened.books.store.deposits_of_tx(&id.tx).await?;
                let deposit = deposits.into_iter().find(|deposit| deposit.id == *id);
                if let Some(deposit) = deposit.as_ref().filter(|d| d.order.is_none()) {
                    self.tell_unassigned(opened, deposit).await?;
                }
                deposit.and_then(|deposit| deposit.order)
            }
            Found::Address(address, None) => {
                // In the spelling that was typed: it may be paid on any chain.
                self.line(&format!(
                    "{term} is watched, and no order of these books has it: it was imported, or \
                     handed out before the books were put back from a backup."
                ));
                for deposit in opened.books.store.deposits_to(address).await? {
                    self.tell_unassigned(opened, &deposit).await?;
                }
                self.tell_outflows(opened, &outflows::from(opened, *address).await?);
                self.tell_notices(opened, address).await?;
                None
            }
            Found::Address(_, Some(order)) => Some(order.clone()),
            Found::Case(id) => self.tell_case(opened, id).await?,
        };
        let Some(id) = owner.filter(|id| !told.contains(id)) else {
            return Ok(());
        };
        told.push(id.clone());
        if let Some(dossier) = opened.books.store.order(&id).await? {
            self.tell_order(opened, &dossier).await?;
        }
        Ok(())
    }

    async fn tell_case(&mut self, opened: &Opened, id: &CaseId) -> Result<Option<OrderId>, Error> {
        let Some((_, case)) = opened.books.store.case(id).await? else {
            return Ok(None);
        };
        if let Some(left) = outflows::of_case(opened, &case).await? {
            self.tell_left(opened, &left);
        }
        let told = CaseStory::gather(opened, case).await?;
        self.line(&told.text(opened));
        self.json.push(told.json(opened));
        Ok(told.case.order)
    }

    async fn tell_unassigned(&mut self, opened: &Opened, deposit: &Deposit) -> Result<(), Error> {
        let chain = &deposit.id.chain;
        let store = &opened.books.store;
        let cursors = store.cursors().await?;
        let feed =
            Feed::of(opened, store.events_of_nobody(&deposit.id, TOLD).await?, vec![]).await?;
        let place = Place::of(opened, deposit, &cursors, &feed);
        self.line(&format!(
            "{} reached {} on {chain} in block {}: the address belongs to no order.",
            other::amount(deposit),
            opened.view.spelled(chain, &deposit.to),
            deposit.block.height
        ));
        if let Some(why) = other::reason(opened, deposit) {
            self.line(&format!("It is {why}."));
        }
        if let Some(words) = settled(deposit.state) {
            self.line(&format!("What became of it: {words}."));
        }
        self.line(&place.text());
        self.text.push_str(&feed.text());
        let next = next_of_nobody(opened, deposit).await?;
        let mut value = opened.view.deposit_json(deposit, &cursors);
        if let Value::Object(fields) = &mut value {
            fields.insert("final".to_owned(), place.json());
            fields.insert("events".to_owned(), feed.json());
            fields.insert("next".to_owned(), json!(next));
        }
        self.json.push(value);
        if let Some(next) = next {
            self.line(&format!("\nWhat to do: {next}"));
        }
        Ok(())
    }

    async fn tell_order(&mut self, opened: &Opened, dossier: &Dossier) -> Result<(), Error> {
        let cursors = opened.books.store.cursors().await?;
        let left = outflows::from(opened, dossier.order.address).await?;
        let text = opened.view.order_text(dossier, &cursors, left.known());
        self.line(&text);
        let (store, id) = (&opened.books.store, &dossier.order.id);
        let (events, finals) = (store.events_of(id, TOLD).await?, store.finals_of(id).await?);
        let feed = Feed::of(opened, events, finals).await?;
        let mut because = Vec::new();
        for deposit in &dossier.deposits {
            let confirmations = view::confirmations(deposit, &cursors);
            let why = other::reason(opened, deposit);
            let why = why.unwrap_or_else(|| reason(dossier, deposit, confirmations));
            let tx = opened.view.tx(&deposit.id.chain, &deposit.id.tx);
            let place = Place::of(opened, deposit, &cursors, &feed);
            self.line(&format!("{}, {tx}: {why}", other::amount(deposit)));
            self.line(&place.text());
            because.push(json!({
                "deposit": deposit.id.to_string(),
                "because": why,
                "final": place.json(),
            }));
        }
        self.tell_outflows(opened, &left);
        self.tell_notices(opened, &dossier.order.address).await?;
        let next = next_step(&opened.view, dossier, &cursors);
        self.text.push_str(&feed.text());
        self.line(&format!("\nWhat to do: {next}"));
        let mut value = opened.view.order_json(dossier, &cursors);
        if let Value::Object(fields) = &mut value {
            fields.insert("because".to_owned(), Value::Array(because));
            fields.insert("events".to_owned(), feed.json());
            fields.insert("next".to_owned(), Value::String(next));
        }
        self.json.push(value);
        Ok(())
    }

    fn tell_left(&mut self, opened: &Opened, left: &Left) {
        self.line(&outflows::sentence(&opened.view, left));
        self.json.push(outflows::as_json(&opened.view, left));
    }

    /// What left our addresses.
    pub(super) fn tell_outflows(&mut self, opened: &Opened, left: &outflows::Story) {
        for left in left.told() {
            self.tell_left(opened, left);
        }
        if let Some(rest) = left.rest() {
            self.line(&rest);
            self.more_outflows = self.more_outflows.saturating_add(left.more);
        }
    }

    /// What the token's issuer did about an address of ours.
    async fn tell_notices(&mut self, opened: &Opened, address: &Address) -> Result<(), Error> {
        for noted in notices::about(opened, address).await? {
            self.line(&notices::sentence(&opened.config, &noted));
            self.json.push(notices::as_json(&opened.view, &noted));
        }
        Ok(())
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }
}

/// What is to be done about a deposit that no order owns, by the case of its last round, since a
/// reorg that mines it again opens another.
async fn next_of_nobody(opened: &Opened, deposit: &Deposit) -> Result<Option<String>, Error> {
    let kind = match deposit.state {
        State::Suspended(kind) => kind,
        // What no order owns is sent back by a case of this kind alone.
        State::Refunding => CaseKind::Unassigned,
        _ => return Ok(None),
    };
    let base = format!("{}:{}", kind.word(), deposit.id);
    let (mut id, mut next) = (CaseId(base.clone()), None);
    for round in 2u64.. {
        let Some((_, case)) = opened.books.store.case(&id).await? else { break };
        let what = match case.refund().map(|refund| refund.state) {
            Some(RefundState::Sent) => "wait; its refund was sent, and the chain is asked",
            Some(_) => "its refund is to be sent",
            None => "a person decides about it",
        };
        next = Some(format!("{what}: bursar case show {id}"));
        id = CaseId(format!("{base}#{round}"));
    }
    Ok(next)
}
