//! How an order is paid, in the forms a payer can use.
//!
//! In: an order that still waits for money. Out: words, a payment URI, a QR code for a terminal.
//! Never: an amount that the token cannot express; a URI for an order that wants nothing more.
//! Why: a typed address is a lost payment waiting to happen.

use payments::order::{Dossier, Status};
use qrcode::QrCode;
use qrcode::render::unicode;

use crate::config::{Chain, Node};

/// What a payer is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What a wallet reads: an EIP-681 URI on EVM chains, the bare address on TRON, whose wallets
    /// agree on no URI.
    pub uri: String,
    /// The same in words.
    pub words: String,
}

/// How `dossier` is to be paid; `None` where nothing more is wanted.
#[must_use]
pub fn request(dossier: &Dossier, chain: &Chain) -> Option<Request> {
    let wanted = matches!(dossier.status(), Status::AwaitingPayment | Status::PartiallyPaid);
    let is_open = dossier.order.due.is_none() && !dossier.is_closed();
    if !wanted && !is_open {
        return None;
    }
    let order = &dossier.order;
    let rest = order.due.map(|due| {
        let seen = dossier.counted().plus(dossier.pending()).unwrap_or(due);
        due.minus_or_zero(seen)
    });
    if rest.is_some_and(|rest| rest.is_zero()) || dossier.has_come_too_late() {
        // It is there, and too late to count: a person decides about it.
        return None;
    }
    let (missing, dust) = (rest, order.terms.dust);
    // Less than that would not count.
    let rest = missing.map(|missing| missing.max(dust));
    let address = order.address.spell(chain.node.spelling());
    let amount = rest.map_or_else(|| "any amount of".to_owned(), |rest| rest.to_string());
    let mut words = format!("send {amount} USDT on {} to {address}", order.chain);
    if let Some(missing) = missing.filter(|missing| *missing < dust) {
        words.push_str(&format!(" ({missing} is missing, and less than {dust} does not count)"));
    }
    let uri = match &chain.node {
        Node::Tron(_) => address,
        // EIP-681: the call `transfer(address,uint256)` of the token, in its base units. Plain
        // integers and lower-case addresses are what wallets read.
        Node::Evm(node) => {
            let token = chain.rules.token.evm().to_lowercase();
            let raw = rest.and_then(|rest| rest.to_raw(chain.rules.decimals));
            let raw = raw.map_or_else(String::new, |raw| format!("&uint256={raw}"));
            let to = address.to_lowercase();
            format!("ethereum:{token}@{}/transfer?address={to}{raw}", node.chain_id)
        }
    };
    Some(Request { uri, words })
}

/// A QR code of `text` for a terminal, two modules a line; empty where it does not fit one.
#[must_use]
pub fn qr(text: &str) -> String {
    QrCode::new(text).map_or_else(
        |_| String::new(),
        |code| {
            // A terminal's own colours may be either way round; scanners read both.
            code.render::<unicode::Dense1x2>().quiet_zone(true).build()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use payments::address::Address;
    use payments::amount::{Credits, Usdt};
    use payments::name::{ChainName, CustomerId, OrderId};
    use payments::order::{Order, Price};
    use payments::time::Time;

    const CONFIG: &str = r#"
[chains.bsc]
kind = "evm"
chain_id = 56
token = "0x55d398326f99059fF775485246999027B3197955"
decimals = 18
[[chains.bsc.endpoints]]
url = "https://node.example"
"#;

    #[test]
    fn a_wallet_is_told_token_chain_and_base_units() {
        let config = Config::parse(CONFIG, std::path::Path::new(".")).unwrap();
        let (name, chain) = config.chain("bsc").unwrap();
        let order = Order {
            id: OrderId::new("A").unwrap(),
            customer: CustomerId::new("c").unwrap(),
            chain: ChainName::new(name.as_str()).unwrap(),
            due: Some(Usdt::parse("12.34").unwrap()),
            price: Price::Fixed(Credits::parse("1").unwrap()),
            created_at: Time(0),
            expires_at: None,
            address: Address::parse("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed").unwrap(),
            address_index: None,
            refund_to: None,
            metadata: None,
            terms: config.orders.terms,
        };
        let mut dossier = Dossier::new(order);
        let request = request(&dossier, chain).unwrap();
        assert_eq!(
            request.uri,
            "ethereum:0x55d398326f99059ff775485246999027b3197955@56/transfer\
             ?address=0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed&uint256=12340000000000000000"
        );
        assert!(request.words.contains("send 12.34 USDT on bsc"));
        assert!(qr(&request.uri).lines().count() > 20);
        dossier.cancelled = Some(Time(1));
        assert_eq!(super::request(&dossier, chain), None);
    }
}
