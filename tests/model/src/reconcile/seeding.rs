//! What can be planted: for each code at least one way to make books or a chain wrong.
//!
//! In: the two sides of a history. Out: the same with one thing wrong, and what must be found.
//! Never: two things wrong at once. Why: recall is known only where the truth is.

use crate::random::Random;
use payments::address::Address;
use payments::amount::Usdt;
use payments::case::{Case, CaseId, CaseKind};
use payments::chain::{BlockHash, Transfer, TxHash};
use payments::deposit::{Deposit, DepositId, State};
use payments::ledger::{Account, Asset, Entry, Journal};
use payments::lookup::{Mined, Transaction};
use payments::name::{ChainName, CustomerId};
use payments::order::Dossier;
use payments::reconcile::{Books, Code, Disagreement, Gap, Observed, Seen, Unacknowledged};
use payments::time::Time;
use ruint::aliases::U256;

use super::{leaving, owner};

/// Both sides, to be made wrong.
pub(super) struct Sides {
    pub(super) books: Books,
    pub(super) observed: Observed,
    pub(super) random: Random,
}

/// What must be found.
pub(super) struct Planted {
    pub(super) code: Code,
    /// The key it must have; none where only the code is sure.
    pub(super) key: Option<String>,
    /// Codes of what else is wrong by it.
    pub(super) beside: &'static [Code],
}

pub(super) fn planted(code: Code, key: impl ToString) -> Option<Planted> {
    Some(Planted { code, key: Some(key.to_string()), beside: &[] })
}

pub(super) type Plant = fn(&mut Sides) -> Option<Planted>;

/// Every way, by name.
pub(super) const PLANTS: [(&str, Plant); 38] = [
    ("a lost deposit", lost),
    ("a deposit that was made up", made_up),
    ("a shaved amount on the chain", shaved_on_chain),
    ("a shaved amount in the books", shaved_in_books),
    ("another token", another_token),
    ("a failed transaction", failed),
    ("another block", moved),
    ("a part that was not read", unread),
    ("a chain without a cut-off", no_cut),
    ("two endpoints that differ", differ),
    ("a range that hides what its transaction shows", hidden),
    ("an open case", open_case),
    ("a part of an order", partial),
    ("a stuck deposit", stuck),
    ("a deposit without its journal", unposted),
    ("a grant without its journal", ungranted),
    ("a posting of what is gone", posted_anyway),
    ("a changed posting", changed_posting),
    ("a changed sale", changed_sale),
    ("a deposit posted twice", posted_twice),
    ("a doubled credit", granted_twice),
    ("a generous price", generous),
    ("a grant to somebody else", misdirected),
    ("a journal of no cause", causeless),
    ("a journal of no cause and no order", stray),
    ("a reversal of nothing", reversal_of_nothing),
    ("a case that holds more than the ledger", swollen_case),
    ("a customer below zero in agreeing totals", below_zero),
    ("an event nobody acknowledged", unacknowledged),
    ("a surplus on an address", surplus),
    ("an outflow", leaving::outflow),
    ("an outflow of dust", leaving::dust),
    ("an outflow that was made up", leaving::made_up),
    ("an outflow of more than left", leaving::inflated),
    ("a changed sweep", leaving::changed),
    ("what the token's owner does to all", owner::to_all),
    ("what the token's owner does to one", owner::to_one),
    ("what the token's owner destroys", owner::destroys),
];

impl Sides {
    fn deposits(&self) -> impl Iterator<Item = &Deposit> {
        let of_orders = self.books.orders.iter().flat_map(|dossier| &dossier.deposits);
        of_orders.chain(&self.books.unassigned)
    }

    /// One deposit that fits and whose block was read.
    fn some(&mut self, fits: impl Fn(&Deposit) -> bool) -> Option<Deposit> {
        let read = |deposit: &&Deposit| {
            let seen = self.observed.chains.get(&deposit.id.chain);
            seen.is_some_and(|seen| seen.covers(deposit.block.height)) && fits(deposit)
        };
        let all: Vec<Deposit> = self.deposits().filter(read).cloned().collect();
        (!all.is_empty()).then(|| self.random.pick(&all).clone())
    }

    /// One that is final, booked, of the configured token, of a stranger's money, and still where
    /// it arrived: of what was sent on, a fault would leave less than nothing.
    fn booked(&mut self) -> Option<Deposit> {
        let chains = self.observed.chains.clone();
        self.some(|deposit| {
            let at = |address| chains.get(&deposit.id.chain)?.balances.get(address);
            let there = at(&deposit.to).is_some_and(|held| *held >= deposit.raw);
            let final_state = matches!(
                deposit.state,
                State::Confirmed | State::Credited | State::Suspended(_) | State::Dust
            );
            let own = !deposit.amount.is_zero() && deposit.id.other_token.is_none();
            final_state && own && there && at(&deposit.from).is_none()
        })
    }

    pub(super) fn seen(&mut self, chain: &ChainName) -> &mut Seen {
        self.observed.chains.get_mut(chain).expect("a chain that was read")
    }

    pub(super) fn any_chain(&mut self) -> Option<ChainName> {
        let names: Vec<ChainName> = self.observed.chains.keys().cloned().collect();
        (!names.is_empty()).then(|| self.random.pick(&names).clone())
    }

    fn transfer(&mut self, id: &DepositId) -> &mut Transfer {
        let place = (id.tx, id.n, self.books.frame.rules[&id.chain].token);
        let transfers = &mut self.seen(&id.chain).transfers;
        transfers.iter_mut().find(|t| (t.tx, t.n, t.token) == place).expect("its transfer")
    }

    /// Takes a deposit's transfer off its chain, and off the balance.
    fn take_off(&mut self, deposit: &Deposit) {
        let (id, token) = (&deposit.id, self.books.frame.rules[&deposit.id.chain].token);
        let seen = self.seen(&id.chain);
        seen.transfers.retain(|t| (t.tx, t.n, t.token) != (id.tx, id.n, token));
        *seen.balances.get_mut(&deposit.to).expect("a balance") -= deposit.raw;
    }

    /// Every journal of the books.
    fn journals(&mut self) -> Vec<&mut Vec<Journal>> {
        let orders = self.books.orders.iter_mut().map(|dossier| &mut dossier.journals);
        orders.chain(std::iter::once(&mut self.books.unassigned_journals)).collect()
    }

    /// Changes the journals that hold `key`.
    fn beside(&mut self, key: &str, act: impl Fn(&mut Vec<Journal>, usize)) {
        for journals in self.journals() {
            if let Some(at) = journals.iter().position(|journal| journal.key == key) {
                act(journals, at);
            }
        }
    }

    /// The key of a journal that stands, of those that begin so.
    fn standing(&mut self, begins: &str) -> Option<String> {
        let mut keys = Vec::new();
        for journals in self.journals() {
            for journal in journals.iter() {
                let reversal = format!("reverse:{}", journal.key);
                let stands = !journals.iter().any(|other| other.key == reversal);
                if stands && journal.key.starts_with(begins) {
                    keys.push(journal.key.clone());
                }
            }
        }
        (!keys.is_empty()).then(|| self.random.pick(&keys).clone())
    }

    /// The journal that stands for a deposit.
    fn posting(&mut self, id: &DepositId) -> Option<String> {
        self.standing(&format!("deposit:{id}"))
    }

    /// An order with all of its books.
    fn order(&mut self, fits: impl Fn(&Dossier) -> bool) -> Option<&mut Dossier> {
        let fitting: Vec<usize> =
            (0..self.books.orders.len()).filter(|at| fits(&self.books.orders[*at])).collect();
        let at = (!fitting.is_empty()).then(|| *self.random.pick(&fitting))?;
        self.books.orders.get_mut(at)
    }

    /// A transfer nobody has seen yet, from a stranger to one of our addresses, with its balance.
    pub(super) fn new_transfer(&mut self, out: bool) -> Option<(ChainName, Transfer)> {
        let chain = self.any_chain()?;
        let word = self.random.word();
        let rules = self.books.frame.rules[&chain].clone();
        let mut tx = [0xf0; 32];
        tx[8..16].copy_from_slice(&word.to_be_bytes());
        let place = self.random.word();
        let unit = U256::from(10u8).pow(U256::from(rules.decimals - 6));
        let seen = self.seen(&chain);
        // Less than a millionth is nothing in the books.
        let funded = |(_, held): &(&Address, &U256)| !out || **held >= unit;
        let ours: Vec<Address> =
            seen.balances.iter().filter(funded).map(|(address, _)| *address).collect();
        let at = usize::try_from(place % 1_000_003).ok()? % ours.len().max(1);
        let (ours, stranger) = (*ours.get(at)?, Address([0x99; 20]));
        let micro = U256::from(1 + word % 1_000_000_000);
        let raw = if out { seen.balances[&ours] } else { micro * unit };
        let (from, to) = if out { (ours, stranger) } else { (stranger, ours) };
        let (block, time) = (seen.cut, seen.time);
        let transfer = Transfer {
            tx: TxHash(tx),
            n: 0,
            log_index: 9,
            block,
            time,
            token: rules.token,
            from,
            to,
            raw,
        };
        let balance = seen.balances.get_mut(&ours)?;
        *balance = if out { U256::ZERO } else { *balance + raw };
        seen.transfers.push(transfer.clone());
        Some((chain, transfer))
    }
}

pub(super) fn id_of(chain: &ChainName, transfer: &Transfer) -> DepositId {
    let (tx, n) = (transfer.tx, transfer.n);
    DepositId { chain: chain.clone(), tx, n, other_token: None }
}

fn lost(sides: &mut Sides) -> Option<Planted> {
    let (chain, transfer) = sides.new_transfer(false)?;
    planted(Code::ChainOnly, id_of(&chain, &transfer))
}

fn made_up(sides: &mut Sides) -> Option<Planted> {
    let deposit = sides.booked()?;
    sides.take_off(&deposit);
    let known = [None, Some(Transaction::NotFound), Some(Transaction::Pending)];
    if let Some(outcome) = sides.random.pick(&known).clone() {
        sides.seen(&deposit.id.chain).outcomes.insert(deposit.id.tx, outcome);
    }
    planted(Code::DepositOnly, &deposit.id)
}

fn shaved_on_chain(sides: &mut Sides) -> Option<Planted> {
    let deposit = sides.booked()?;
    sides.transfer(&deposit.id).raw -= U256::ONE;
    let balances = &mut sides.seen(&deposit.id.chain).balances;
    *balances.get_mut(&deposit.to)? -= U256::ONE;
    planted(Code::AmountDiffers, &deposit.id)
}

fn shaved_in_books(sides: &mut Sides) -> Option<Planted> {
    let wanted = sides.booked()?;
    let orders = sides.books.orders.iter_mut().flat_map(|dossier| &mut dossier.deposits);
    let mut all = orders.chain(&mut sides.books.unassigned);
    let deposit = all.find(|deposit| deposit.id == wanted.id && deposit.order == wanted.order)?;
    deposit.amount = Usdt::from_micro(deposit.amount.micro() - 1)?;
    // Whoever does this has the ledger to change as well, and did not.
    let beside: &[Code] =
        &[Code::LedgerAmountDiffers, Code::ConfirmedNotPosted, Code::PostedNotFinal];
    Some(Planted { code: Code::AmountDiffers, key: Some(wanted.id.to_string()), beside })
}

fn another_token(sides: &mut Sides) -> Option<Planted> {
    let deposit = sides.booked()?;
    sides.transfer(&deposit.id).token = Address([0x0f; 20]);
    let balances = &mut sides.seen(&deposit.id.chain).balances;
    *balances.get_mut(&deposit.to)? -= deposit.raw;
    planted(Code::TokenNotAllowed, &deposit.id)
}

fn failed(sides: &mut Sides) -> Option<Planted> {
    let deposit = sides.booked()?;
    sides.take_off(&deposit);
    let (block, time) = (deposit.block, deposit.time);
    let mined = Mined { others: Vec::new(), succeeded: false, block, time, transfers: Vec::new() };
    let outcomes = &mut sides.seen(&deposit.id.chain).outcomes;
    outcomes.insert(deposit.id.tx, Transaction::Mined(mined));
    planted(Code::ExecutionFailed, &deposit.id)
}

fn moved(sides: &mut Sides) -> Option<Planted> {
    let deposit = sides.booked()?;
    sides.transfer(&deposit.id).block.hash = BlockHash([0x77; 32]);
    planted(Code::Reanchored, &deposit.id)
}

fn unread(sides: &mut Sides) -> Option<Planted> {
    let chain = sides.any_chain()?;
    let gap = Gap { subject: "blocks:5-9".to_owned(), why: "nobody answers".to_owned() };
    sides.seen(&chain).gaps.push(gap);
    planted(Code::CoverageGap, format!("{chain}:blocks:5-9"))
}

fn no_cut(sides: &mut Sides) -> Option<Planted> {
    let chain = ChainName::new("elsewhere").ok()?;
    sides.observed.missing.insert(chain, "no endpoint answers".to_owned());
    planted(Code::CoverageGap, "elsewhere:chain")
}

fn differ(sides: &mut Sides) -> Option<Planted> {
    let chain = sides.any_chain()?;
    let (subject, what) = ("block:7".to_owned(), "one has it, one has another".to_owned());
    sides.seen(&chain).disagreements.push(Disagreement { subject, what });
    planted(Code::EndpointsDisagree, format!("{chain}:block:7"))
}

fn hidden(sides: &mut Sides) -> Option<Planted> {
    let deposit = sides.booked()?;
    let transfer = sides.transfer(&deposit.id).clone();
    sides.take_off(&deposit);
    let (block, time) = (deposit.block, deposit.time);
    let mined =
        Mined { others: Vec::new(), succeeded: true, block, time, transfers: vec![transfer] };
    let outcomes = &mut sides.seen(&deposit.id.chain).outcomes;
    outcomes.insert(deposit.id.tx, Transaction::Mined(mined));
    planted(Code::EndpointsDisagree, &deposit.id)
}

/// Of every kind in turn.
fn open_case(sides: &mut Sides) -> Option<Planted> {
    let kind = *sides.random.pick(CaseKind::ALL);
    let number = sides.random.word();
    let dossier = sides.order(|_| true)?;
    let id = CaseId(format!("{}:{number}", kind.word()));
    dossier.cases.push(Case {
        id: id.clone(),
        kind,
        order: Some(dossier.order.id.clone()),
        deposits: Vec::new(),
        chain: dossier.order.chain.clone(),
        amount: Usdt::ZERO,
        opened_at: Time(0),
        decision: None,
        steps: Vec::new(),
    });
    planted(Code::of_case(kind), id)
}

/// A paid order that asks for more than it did, and so is not paid.
fn partial(sides: &mut Sides) -> Option<Planted> {
    let one = |dossier: &Dossier| {
        let credited = |deposit: &Deposit| deposit.state == State::Credited;
        let plain = dossier.journals.len() == 2 && dossier.cases.is_empty();
        plain
            && dossier.deposits.len() == 1
            && credited(&dossier.deposits[0])
            && dossier
                .order
                .due
                .is_some_and(|due| dossier.deposits[0].amount.micro() < 2 * due.micro())
    };
    let dossier = sides.order(one)?;
    dossier.order.due = Usdt::from_micro(dossier.order.due?.micro() * 3);
    (dossier.paid, dossier.expired, dossier.cancelled) = (None, None, None);
    dossier.deposits[0].state = State::Confirmed;
    dossier.journals.retain(|journal| !journal.key.starts_with("paid:"));
    planted(Code::Partial, &dossier.order.id)
}

fn stuck(sides: &mut Sides) -> Option<Planted> {
    let (chain, transfer) = sides.new_transfer(false)?;
    let at = sides.seen(&chain).transfers.iter().position(|t| t.tx == transfer.tx)?;
    let time = Time(transfer.time.0 - 30 * 60_000);
    sides.seen(&chain).transfers[at].time = time;
    let id = id_of(&chain, &transfer);
    let decimals = sides.books.frame.rules[&chain].decimals;
    sides.books.unassigned.push(Deposit {
        id: id.clone(),
        order: None,
        from: transfer.from,
        to: transfer.to,
        raw: transfer.raw,
        amount: Usdt::from_raw(transfer.raw, decimals).ok()?,
        block: transfer.block,
        time,
        log_index: transfer.log_index,
        state: State::Pending,
        late: false,
        assigned: None,
    });
    planted(Code::NotCredited, id)
}

fn unposted(sides: &mut Sides) -> Option<Planted> {
    let deposit = sides.booked()?;
    let key = sides.posting(&deposit.id)?;
    sides.beside(&key, |journals, at| drop(journals.remove(at)));
    planted(Code::ConfirmedNotPosted, &deposit.id)
}

fn ungranted(sides: &mut Sides) -> Option<Planted> {
    let key = sides.standing("paid:")?;
    sides.beside(&key, |journals, at| drop(journals.remove(at)));
    let base = key.split('#').next()?.to_owned();
    planted(Code::ConfirmedNotPosted, base)
}

fn posted_anyway(sides: &mut Sides) -> Option<Planted> {
    let gone = |deposit: &Deposit| {
        let gone = matches!(deposit.state, State::Orphaned | State::Reversed);
        gone && !deposit.amount.is_zero() && deposit.id.other_token.is_none()
    };
    let deposit = sides.some(gone)?;
    let posting = posting_of(&deposit, "#99");
    match &deposit.order {
        None => sides.books.unassigned_journals.push(posting),
        Some(order) => sides.order(|dossier| dossier.order.id == *order)?.journals.push(posting),
    }
    planted(Code::PostedNotFinal, &deposit.id)
}

fn posting_of(deposit: &Deposit, round: &str) -> Journal {
    let chain = &deposit.id.chain;
    let custody = Account::Custody(chain.clone(), deposit.to);
    let credit = match &deposit.order {
        Some(order) => Account::Order(order.clone()),
        None => Account::Suspense(CaseKind::Late),
    };
    Journal {
        key: format!("deposit:{}{round}", deposit.id),
        order: deposit.order.clone(),
        deposit: Some(deposit.id.clone()),
        effective: deposit.time,
        recorded: deposit.time,
        remainder: 0,
        entries: Entry::usdt(chain, custody, credit, deposit.amount).into_iter().collect(),
    }
}

fn changed_posting(sides: &mut Sides) -> Option<Planted> {
    let deposit = sides.booked()?;
    let key = sides.posting(&deposit.id)?;
    sides.beside(&key, |journals, at| journals[at].entries[0].amount += 1);
    let beside: &[Code] = &[Code::SuspenseDiffers];
    let key = Some(deposit.id.to_string());
    Some(Planted { code: Code::LedgerAmountDiffers, key, beside })
}

fn changed_sale(sides: &mut Sides) -> Option<Planted> {
    let key = sides.standing("paid:")?;
    let dossier =
        sides.order(|dossier| dossier.journals.iter().any(|journal| journal.key == key))?;
    // Where a tolerance hides it from the price.
    dossier.order.terms.tolerance.micro().checked_sub(1).filter(|left| *left >= 0)?;
    let due = dossier.order.due?.micro();
    let journal = dossier.journals.iter_mut().find(|journal| journal.key == key)?;
    let sold = journal.entries.iter_mut().find(|entry| entry.credit == Account::Sales)?;
    if sold.amount != due {
        return None;
    }
    sold.amount -= 1;
    planted(
        Code::LedgerAmountDiffers,
        format!("order:{}:{}", dossier.order.id, dossier.order.chain),
    )
}

fn posted_twice(sides: &mut Sides) -> Option<Planted> {
    let deposit = sides.booked()?;
    let key = sides.posting(&deposit.id)?;
    sides.beside(&key, |journals, at| {
        let mut again = journals[at].clone();
        again.key = format!("deposit:{}#99", deposit.id);
        journals.push(again);
    });
    // Of a deposit nobody owns, the same journal holds it for a person.
    let beside: &[Code] = &[Code::SuspenseDiffers];
    Some(Planted { code: Code::DoublePosted, key: Some(deposit.id.to_string()), beside })
}

fn granted_twice(sides: &mut Sides) -> Option<Planted> {
    let key = sides.standing("paid:")?;
    let base = key.split('#').next()?.to_owned();
    sides.beside(&key, |journals, at| {
        let mut again = journals[at].clone();
        again.key = format!("{base}#99");
        again.entries.retain(|entry| entry.asset == Asset::Credit);
        journals.push(again);
    });
    // The second one sells nothing for its credits.
    let beside: &[Code] = &[Code::RateDiffers];
    Some(Planted { code: Code::DoublePosted, key: Some(base), beside })
}

fn generous(sides: &mut Sides) -> Option<Planted> {
    let key = sides.standing("paid:")?;
    let mut found = false;
    for journals in sides.journals() {
        for journal in journals.iter_mut().filter(|journal| journal.key == key) {
            for entry in journal.entries.iter_mut().filter(|e| e.asset == Asset::Credit) {
                entry.amount += 1;
                found = true;
            }
        }
    }
    found.then(|| planted(Code::RateDiffers, key))?
}

fn misdirected(sides: &mut Sides) -> Option<Planted> {
    let key = sides.standing("paid:")?;
    let thief = Account::Customer(CustomerId::new("thief").ok()?);
    let mut found = false;
    for journals in sides.journals() {
        for journal in journals.iter_mut().filter(|journal| journal.key == key) {
            for entry in journal.entries.iter_mut().filter(|e| e.asset == Asset::Credit) {
                entry.credit = thief.clone();
                found = true;
            }
        }
    }
    found.then(|| planted(Code::RateDiffers, key))?
}

fn gift(key: &str, to: &str) -> Journal {
    let customer = CustomerId::new(to).expect("a name");
    let amount = payments::amount::Credits::parse("5").expect("an amount");
    Journal {
        key: key.to_owned(),
        order: None,
        deposit: None,
        effective: Time(0),
        recorded: Time(0),
        remainder: 0,
        entries: Entry::grant(&customer, amount).into_iter().collect(),
    }
}

fn causeless(sides: &mut Sides) -> Option<Planted> {
    let number = sides.random.word();
    let keys = [format!("gift:{number}"), format!("paid:other-{number}")];
    let key = sides.random.pick(&keys).clone();
    let dossier = sides.order(|_| true)?;
    dossier.journals.push(gift(&key, "friend"));
    planted(Code::OrphanJournal, key)
}

fn stray(sides: &mut Sides) -> Option<Planted> {
    let key = format!("paid:nobody-{}", sides.random.word());
    sides.books.unassigned_journals.push(gift(&key, "friend"));
    planted(Code::OrphanJournal, key)
}

fn reversal_of_nothing(sides: &mut Sides) -> Option<Planted> {
    let key = format!("reverse:paid:gone-{}", sides.random.word());
    let journal = gift(&key, "friend");
    sides.order(|_| true)?.journals.push(journal);
    planted(Code::OrphanJournal, key)
}

fn swollen_case(sides: &mut Sides) -> Option<Planted> {
    let open = |case: &Case| case.decision.is_none() && !case.amount.is_zero();
    let dossier = sides.order(|dossier| dossier.cases.iter().any(open))?;
    let order = dossier.order.id.clone();
    let case = dossier.cases.iter_mut().find(|case| open(case))?;
    case.amount = Usdt::from_micro(case.amount.micro() + 1)?;
    let key = format!("suspense:{}:{}:order {order}", case.kind.word(), case.chain);
    planted(Code::SuspenseDiffers, key)
}

fn below_zero(sides: &mut Sides) -> Option<Planted> {
    let mut rich = gift("reverse:paid:x", "rich");
    let mut poor = gift("x", "poor");
    for entry in &mut poor.entries {
        std::mem::swap(&mut entry.debit, &mut entry.credit);
    }
    rich.entries.append(&mut poor.entries);
    sides.books.unassigned_journals.push(rich);
    let key = Some("customer:poor".to_owned());
    Some(Planted { code: Code::NegativeBalance, key, beside: &[Code::OrphanJournal] })
}

fn unacknowledged(sides: &mut Sides) -> Option<Planted> {
    let as_of = sides.observed.chains.values().map(|seen| seen.time).max()?;
    let (first, last, within) = (7, 9, 3_600_000);
    let at = Time(as_of.0 - within - 1);
    sides.books.frame.unacknowledged = Some(Unacknowledged { first, last, at, within });
    planted(Code::EventUnacked, "event:7")
}

/// One base unit more or less than the transfers make.
fn surplus(sides: &mut Sides) -> Option<Planted> {
    let chain = sides.any_chain()?;
    let (more, place) = (sides.random.chance(50), sides.random.word());
    let balances = &mut sides.seen(&chain).balances;
    let held: Vec<Address> =
        balances.iter().filter(|(_, held)| more || !held.is_zero()).map(|(at, _)| *at).collect();
    let at = usize::try_from(place % 1_000_003).ok()? % held.len().max(1);
    let address = *held.get(at)?;
    let balance = balances.get_mut(&address)?;
    *balance = if more { *balance + U256::ONE } else { *balance - U256::ONE };
    planted(Code::BalanceDiffers, format!("{chain}:{}", address.evm()))
}
