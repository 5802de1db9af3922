//! One till for both kinds of chain: what customers send, and what an operator types.
//!
//! In: orders and payments. Out: transaction ids as the chain spells them, answers of `bursar`.
//! Never: another outcome asserted for one kind than for the other.

use alloy::primitives::{Address, U256};
use serde_json::Value;

use crate::anvil::{Anvil, Options, Token, payment};
use crate::live::daemon::Daemon;
use crate::live::shop::{self, Engine, KNOWN, list, text};
use crate::live::tron::shop as tron;

pub(super) use crate::live::shop::USDT;

/// What is for sale, and what a refund costs.
const PLANS: [(&str, &str, &str); 5] = [
    ("team", "100", "10000"),
    ("enterprise", "400", "50000"),
    ("pack10", "10", "100"),
    ("pack45", "45", "500"),
    ("pack80", "80", "1000"),
];

pub(super) struct Till {
    place: Place,
    daemon: Daemon,
}

enum Place {
    /// Ethereum on anvil, and BNB Chain on another one with the token of 18 decimals.
    Anvil(Box<OnAnvil>),
    /// `lab`'s TRON node, and `lab`'s Ethereum.
    Tron(Box<OnTron>),
}

struct OnAnvil {
    shop: shop::Shop,
    multisend: Address,
    look_alike: Token,
    bsc: Anvil,
    bsc_token: Token,
}

struct OnTron {
    shop: tron::Shop,
    /// Tells equal payments apart.
    paid: u64,
}

impl Till {
    pub(super) async fn anvil() -> Self {
        let shop = shop::Shop::open(Engine::Sqlite).await;
        let payer = shop.anvil.owner();
        let multisend = shop.anvil.deploy_multisend(payer, &[shop.token]).await;
        let look_alike = shop.anvil.deploy_token(1_000_000 * USDT, 6).await;
        let options = Options { chain_id: 56, slots_in_an_epoch: 1, ..Options::default() };
        let bsc = Anvil::start(options).await;
        let supply = 1_000_000 * USDT * 10_u128.pow(12);
        let bsc_token = bsc.deploy_token(supply, 18).await;
        let sibling = format!(
            "\n[chains.bsc]\nkind = \"evm\"\nchain_id = 56\ntoken = \"{}\"\ndecimals = 18\n\
            confirmations = [{{ at = \"finalized\" }}]\npoll_interval = \"50ms\"\n\
            [chains.bsc.addresses]\nxpub = \"{KNOWN}\"\n\
            [[chains.bsc.endpoints]]\nurl = \"{}\"\n",
            bsc_token.address,
            bsc.http_url()
        );
        let config = shop.config(&[shop.anvil.http_url(), shop.anvil.ws_url()]);
        let config = config.replacen(
            "decimals = 6\n",
            "decimals = 6\nrefund_fee = \"3\"\nother_tokens = \"watch\"\n",
            1,
        );
        shop.write_config(&(for_sale(&config) + &sibling));
        let mut daemon = shop.watching().await;
        bsc.mine(1).await;
        daemon.recorded_on("bsc", bsc.height().await).await;
        let place = OnAnvil { shop, multisend, look_alike, bsc, bsc_token };
        Self { place: Place::Anvil(Box::new(place)), daemon }
    }

    pub(super) async fn tron() -> Self {
        let shop = tron::Shop::open(Engine::Sqlite, "").await;
        shop.rewrite(|config| {
            let fee = "recovery_fee = \"0.80\"\n";
            for_sale(&config.replacen(fee, &format!("{fee}refund_fee = \"0.80\"\n"), 1))
        });
        let daemon = shop.watching().await;
        Self { place: Place::Tron(Box::new(OnTron { shop, paid: 0 })), daemon }
    }

    pub(super) async fn close(self) {
        let verified = self.bursar(&["ledger", "verify"]).await;
        assert_eq!(list(&verified["findings"]).len(), 0, "{verified}");
        self.daemon.stop().await;
    }
}

/// The config with something for sale, and what an order tolerates.
fn for_sale(config: &str) -> String {
    let rate = "credits_per_usdt = \"100\"\n";
    let mut sold = rate.to_owned();
    for (name, amount, credits) in PLANS {
        let plan = format!("{{ amount = \"{amount}\", credits = \"{credits}\" }}");
        sold.push_str(&format!("plans.{name} = {plan}\n"));
    }
    let expiry = "expires_after = \"30d\"\n";
    config.replacen(rate, &sold, 1).replacen(expiry, &format!("{expiry}tolerance = \"0.10\"\n"), 1)
}

/// What an operator types.
impl Till {
    pub(super) async fn bursar(&self, arguments: &[&str]) -> Value {
        match &self.place {
            Place::Anvil(on) => on.shop.bursar(arguments).await,
            Place::Tron(on) => on.shop.bursar(arguments).await,
        }
    }

    pub(super) async fn order(&self, id: &str, terms: &[&str]) -> Address {
        let chain = if matches!(self.place, Place::Anvil(_)) { "ethereum" } else { "tron" };
        let mut typed = vec!["order", "create", "--id", id, "--customer", id, "--chain", chain];
        typed.extend(terms);
        let made = self.bursar(&typed).await;
        let address = payments::address::Address::parse(text(&made["address"]));
        Address::from(address.expect("an address").0)
    }

    pub(super) async fn show(&self, id: &str) -> Value {
        self.bursar(&["order", "show", id]).await
    }

    pub(super) async fn resolve(&self, case: &str, what: &[&str]) {
        self.bursar(&[&["case", "resolve", case], what].concat()).await;
    }

    /// The credits of a customer.
    pub(super) async fn credits(&self, customer: &str) -> String {
        let account = format!("customer:{customer}");
        let answer = self.bursar(&["ledger", "balance", &account]).await;
        let row = list(&answer["balances"]).iter().find(|row| row["account"] == account.as_str());
        row.map_or_else(|| "0.00".to_owned(), |row| text(&row["balance"]).to_owned())
    }

    /// An address as the chain's wallets show it.
    pub(super) fn spelled(&self, address: Address) -> String {
        match &self.place {
            Place::Anvil(_) => address.to_string(),
            Place::Tron(_) => payments::address::Address(address.into_array()).tron(),
        }
    }

    /// Somebody's own wallet.
    pub(super) fn stranger(&self) -> Address {
        Address::repeat_byte(0x5e)
    }
}

/// What customers send.
impl Till {
    /// One transaction, in a block of its own; its id.
    pub(super) async fn pay(&mut self, parts: &[(Address, u128)]) -> String {
        match &mut self.place {
            Place::Anvil(on) => {
                let (anvil, token) = (&on.shop.anvil, on.shop.token);
                let payer = anvil.owner();
                let tx = match parts {
                    [(to, micro)] => anvil.transfer(token, payer, *to, *micro).await,
                    parts => {
                        let parts = parts.iter().map(|(to, micro)| payment(token, *to, *micro));
                        anvil.multisend(on.multisend, payer, parts.collect()).await
                    }
                };
                anvil.mine(1).await;
                tx.to_string()
            }
            Place::Tron(on) => {
                let payer = Address::repeat_byte(0xaa);
                let tx = parts.iter().fold(lab::tron::Tx::empty(), |tx, (to, micro)| {
                    tx.and_transfer(payer, *to, U256::from(*micro))
                });
                on.mine(tx)
            }
        }
    }

    pub(super) async fn refund(&mut self, to: Address, micro: u128) -> String {
        self.pay(&[(to, micro)]).await
    }

    pub(super) async fn pay_look_alike(&mut self, to: Address, micro: u128) -> String {
        match &mut self.place {
            Place::Anvil(on) => {
                let anvil = &on.shop.anvil;
                let tx = anvil.transfer(on.look_alike, anvil.owner(), to, micro).await;
                anvil.mine(1).await;
                tx.to_string()
            }
            Place::Tron(on) => {
                let (contract, payer) = (Address::repeat_byte(0xfa), Address::repeat_byte(0xaa));
                let value = U256::from(micro);
                on.mine(lab::tron::Tx::transfer_of(contract, payer, to, value))
            }
        }
    }

    /// To the same twenty bytes on the other chain, until it is a case.
    pub(super) async fn pay_elsewhere(&mut self, to: Address, usdt: u64) {
        match &self.place {
            Place::Anvil(on) => {
                let raw = u128::from(usdt) * USDT * 10_u128.pow(12);
                on.bsc.transfer(on.bsc_token, on.bsc.owner(), to, raw).await;
                for blocks in [4, 1] {
                    on.bsc.mine(blocks).await;
                    self.daemon.recorded_on("bsc", on.bsc.height().await).await;
                }
            }
            Place::Tron(on) => {
                let payer = Address::repeat_byte(0xaa);
                let paid = lab::evm::Tx::transfer(payer, to, usdt * 1_000_000);
                on.shop.ethereum.mine(vec![paid]);
                for blocks in [5, 1] {
                    on.shop.ethereum.mine_empty(blocks);
                    let tip = on.shop.ethereum.tip().height;
                    self.daemon.recorded_on("ethereum", tip).await;
                }
            }
        }
    }

    /// So many minutes pass on the chain.
    pub(super) async fn later(&mut self, minutes: u64) {
        match &self.place {
            Place::Anvil(on) => on.shop.anvil.advance_time(minutes * 60).await,
            Place::Tron(on) => {
                let chain = &on.shop.chain;
                let now = chain.time(chain.tip().height).expect("the tip has a time");
                chain.mine_at(now + minutes * 60_000, Vec::new());
            }
        }
    }

    /// Blocks until everything is final, and until the daemon has recorded it.
    pub(super) async fn settle(&mut self) {
        match &self.place {
            Place::Anvil(on) => on.shop.settle(&mut self.daemon).await,
            Place::Tron(on) => {
                // The look that records the first block may have asked what is solid before; the
                // look that records the second began after.
                on.shop.solidify();
                for _ in 0..2 {
                    on.shop.chain.mine_empty(1);
                    self.daemon.recorded_on("tron", on.shop.chain.tip().height).await;
                }
            }
        }
    }
}

impl OnTron {
    fn mine(&mut self, tx: lab::tron::Tx) -> String {
        self.paid += 1;
        let block = self.shop.chain.mine(vec![tx.tagged(self.paid)]);
        let [id] = self.shop.chain.transactions(block.height)[..] else { panic!("one") };
        id.to_string()
    }
}
