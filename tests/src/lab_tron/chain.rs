//! The chain both libraries read, and what they must find on it.
//!
//! In: nothing. Out: one transaction of each kind a shop meets, deep enough that some are final.

use alloy::hex;
use alloy::primitives::{Address, U256, keccak256};
use lab::tron::{Chain, ChainSpec, LogSpec, Tx, base58};
use serde_json::{Value, json};

pub(super) const ANN: Address = Address::repeat_byte(0xa1);
pub(super) const BOB: Address = Address::repeat_byte(0xb0);
const BATCHER: Address = Address::repeat_byte(0xba);

/// What a client must say of a transaction.
pub(super) struct Expected {
    pub(super) info: Value,
    pub(super) owner: String,
    pub(super) result: &'static str,
    pub(super) is_final: bool,
}

/// A kind of transaction: how it is scripted, its result, the result of its receipt, its transfers.
type Kind = (Tx, &'static str, Option<&'static str>, Vec<(Address, Address, u64)>);

fn kinds() -> Vec<Vec<Kind>> {
    let success = Some("SUCCESS");
    let approval = LogSpec::Approval { owner: ANN, spender: BATCHER, value: U256::MAX };
    let three = [(BOB, 1), (BOB, 2), (BOB, 3)];
    vec![
        vec![
            (Tx::transfer(ANN, BOB, 25_000_000), "SUCCESS", success, vec![(ANN, BOB, 25_000_000)]),
            (Tx::trx(ANN, BOB, 1_500_000), "SUCCESS", None, vec![]),
            (
                Tx::transfer(ANN, BOB, 5_000_000).with_dirty_word().with_memo("order 7"),
                "SUCCESS",
                success,
                vec![(ANN, BOB, 5_000_000)],
            ),
        ],
        vec![
            (Tx::transfer(ANN, BOB, 9).reverted(), "REVERT", Some("REVERT"), vec![]),
            (
                Tx::transfer(ANN, BOB, 9).out_of_energy(),
                "OUT_OF_ENERGY",
                Some("OUT_OF_ENERGY"),
                vec![],
            ),
            (
                Tx::transfer(ANN, BOB, 8).out_of_time(),
                "OUT_OF_TIME",
                Some("OUT_OF_TIME"),
                vec![(ANN, BOB, 8)],
            ),
        ],
        vec![
            (Tx::empty().and(approval), "SUCCESS", success, vec![]),
            (Tx::transfer(ANN, BOB, 0), "SUCCESS", success, vec![(ANN, BOB, 0)]),
            (
                Tx::batch(BATCHER, ANN, ANN, &three).without_bandwidth(),
                "SUCCESS",
                success,
                vec![(ANN, BOB, 1), (ANN, BOB, 2), (ANN, BOB, 3)],
            ),
        ],
    ]
}

/// The last payment is not final.
fn newest() -> Kind {
    let tx = Tx::transfer(BOB, ANN, 7).staked();
    (tx, "SUCCESS", Some("SUCCESS"), vec![(BOB, ANN, 7)])
}

pub(super) fn scripted() -> Chain {
    let chain = Chain::new(ChainSpec::tron());
    for block in kinds() {
        chain.mine(block.into_iter().map(|(tx, ..)| tx).collect());
    }
    chain.miss(2);
    chain.mine_empty(20);
    chain.mine(vec![newest().0]);
    chain
}

/// What must be said of each transaction, by id.
pub(super) fn expected(chain: &Chain) -> Vec<(String, Expected)> {
    let token = base58(chain.spec().token.address);
    let mut blocks: Vec<(u64, Vec<Kind>)> = (1..).zip(kinds()).collect();
    blocks.push((chain.tip().height, vec![newest()]));
    let of = |(height, kinds): (u64, Vec<Kind>)| {
        let ids = chain.transactions(height);
        assert_eq!(ids.len(), kinds.len());
        let token = token.clone();
        let solid = chain.solid().height;
        ids.into_iter().zip(kinds).map(move |(id, (_, result, receipt, moved))| {
            let transfers = moved.iter().map(|(from, to, value)| {
                let (from, to) = (base58(*from), base58(*to));
                json!({ "token": token, "from": from, "to": to, "value": value.to_string() })
            });
            let info = json!({
                "height": height,
                "result": receipt,
                "failed": result != "SUCCESS",
                "transfers": transfers.collect::<Vec<_>>(),
            });
            let owner = base58(if height > 3 { BOB } else { ANN });
            (hex::encode(id), Expected { info, owner, result, is_final: height <= solid })
        })
    };
    blocks.into_iter().flat_map(of).collect()
}

/// A thousand addresses from nowhere, with the ends of the range among them.
pub(super) fn twenty() -> Vec<String> {
    let some = (0..998_u32).map(|n| Address::from_word(keccak256(n.to_be_bytes())));
    let ends = [Address::ZERO, Address::repeat_byte(0xff)];
    some.chain(ends).map(hex::encode).collect()
}
