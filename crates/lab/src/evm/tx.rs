//! A scripted transaction: what it is on the wire, and the logs it leaves.
//!
//! In: transfers and other USDT events by name. Out: a signed, encodable transaction and its
//! logs. Never: the tag, the callee and the calldata apart from the hash; the logs are not in it,
//! so the same transaction can end differently in another block, as real ones do. Why: a reorg
//! that mines the same payment again must keep its hash.

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope, TxLegacy};
use alloy::primitives::{
    Address, B256, Bytes, Log, LogData, Signature, TxKind, U256, b256, keccak256, uint,
};

/// `Transfer(address,address,uint256)`.
pub(crate) const TRANSFER: B256 =
    b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
/// `Approval(address,address,uint256)`.
pub(crate) const APPROVAL: B256 =
    b256!("8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925");

/// The x coordinate of secp256k1's generator: always a valid `r`, so that recovering the signer
/// always succeeds. SEC 2, section 2.4.1.
const GENERATOR_X: U256 =
    uint!(0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798_U256);
const GWEI: u128 = 1_000_000_000;
/// What each block of the lab costs per gas, in wei.
pub(crate) const BASE_FEE: u64 = 1_000_000_000;
const TIP: u128 = GWEI;
const GAS_LIMIT: u64 = 5_000_000;

/// One transaction of a scripted block.
///
/// Its hash follows from its tag, its callee and its calldata. Where a hash is already on the
/// chain, mining counts the tag up until it is not: two equal payments are two transactions,
/// while one that a reorg removed comes back under its own hash.
#[derive(Clone, Debug, PartialEq)]
pub struct Tx {
    tag: u64,
    to: Option<Address>,
    input: Option<Bytes>,
    legacy: bool,
    ending: Ending,
    logs: Vec<LogSpec>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    Success,
    Failed,
    FailedWithLogs,
}

/// One log of a transaction. `contract: None` is the chain's own token.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum LogSpec {
    /// `Transfer`, by the token or by a look-alike.
    Transfer {
        /// The emitting contract.
        contract: Option<Address>,
        /// Who pays.
        from: Address,
        /// Who is paid.
        to: Address,
        /// In base units.
        value: U256,
    },
    /// `Approval`, which moves nothing.
    Approval {
        /// Whose tokens.
        owner: Address,
        /// Who may take them.
        spender: Address,
        /// In base units.
        value: U256,
    },
    /// `Pause()`: no transfer succeeds any more.
    Pause,
    /// `Unpause()`.
    Unpause,
    /// `Params(uint256,uint256)`: a fee is switched on, or off with zeros.
    Params {
        /// Of the value, in hundredths of a percent.
        basis_points: U256,
        /// The fee's ceiling, in base units.
        max_fee: U256,
    },
    /// `Deprecate(address)`: the token lives on elsewhere.
    Deprecate {
        /// The contract that takes over.
        successor: Address,
    },
    /// `AddedBlackList(address)`, not indexed on Ethereum.
    AddedBlackList {
        /// Who may not pay any more.
        account: Address,
    },
    /// `DestroyedBlackFunds(address,uint256)`: a balance goes away without a Transfer.
    DestroyedBlackFunds {
        /// Whose balance.
        account: Address,
        /// In base units.
        value: U256,
    },
    /// Anything else, word for word.
    Raw {
        /// The emitting contract.
        contract: Option<Address>,
        /// At most four.
        topics: Vec<B256>,
        /// As it is.
        data: Bytes,
    },
}

impl Tx {
    /// A transaction without logs.
    #[must_use]
    pub fn empty() -> Self {
        let (tag, to, input, legacy) = (0, None, None, false);
        Self { tag, to, input, legacy, ending: Ending::Success, logs: Vec::new() }
    }

    /// One transfer of the chain's token, in base units.
    #[must_use]
    pub fn transfer(from: Address, to: Address, value: impl TryInto<U256>) -> Self {
        Self::empty().and_transfer(from, to, value)
    }

    /// One transfer by another contract, such as a look-alike.
    #[must_use]
    pub fn transfer_of(
        contract: Address,
        from: Address,
        to: Address,
        value: impl TryInto<U256>,
    ) -> Self {
        let value = whole(value);
        let spec = LogSpec::Transfer { contract: Some(contract), from, to, value };
        Self::empty().on(contract).and(spec)
    }

    /// A transfer while the token takes a fee: the fee's Transfer first, as on Ethereum, then the
    /// rest. `value` is what the payer sent, fee included; a fee above it leaves zero.
    #[must_use]
    pub fn transfer_with_fee(
        from: Address,
        to: Address,
        value: impl TryInto<U256>,
        owner: Address,
        fee: impl TryInto<U256>,
    ) -> Self {
        let (value, fee) = (whole(value), whole(fee));
        Self::empty()
            .and_transfer(from, owner, fee)
            .and_transfer(from, to, value.saturating_sub(fee))
            .with_input(transfer_call(to, value))
    }

    /// One more log, after those already there.
    #[must_use]
    pub fn and(mut self, log: LogSpec) -> Self {
        self.logs.push(log);
        self
    }

    /// One more transfer of the chain's token, in base units.
    #[must_use]
    pub fn and_transfer(self, from: Address, to: Address, value: impl TryInto<U256>) -> Self {
        self.and(LogSpec::Transfer { contract: None, from, to, value: whole(value) })
    }

    /// Tells this transaction from others with the same callee and calldata.
    #[must_use]
    pub fn tagged(self, tag: u64) -> Self {
        Self { tag, ..self }
    }

    /// The called contract; the chain's token if not said.
    #[must_use]
    pub fn on(self, to: Address) -> Self {
        Self { to: Some(to), ..self }
    }

    /// The calldata; that of the first transfer if not said.
    #[must_use]
    pub fn with_input(self, input: impl Into<Bytes>) -> Self {
        Self { input: Some(input.into()), ..self }
    }

    /// A legacy transaction instead of one of EIP-1559.
    #[must_use]
    pub fn legacy(self) -> Self {
        Self { legacy: true, ..self }
    }

    /// Reverted: status 0, no logs.
    #[must_use]
    pub fn failed(self) -> Self {
        Self { ending: Ending::Failed, ..self }
    }

    /// Status 0 and logs all the same: what no EVM does and a lying node may say.
    #[must_use]
    pub fn failed_with_logs(self) -> Self {
        Self { ending: Ending::FailedWithLogs, ..self }
    }

    pub(crate) fn tag(&self) -> u64 {
        self.tag
    }

    pub(crate) fn succeeded(&self) -> bool {
        self.ending == Ending::Success
    }

    /// The transaction as it is sent, under the tag given.
    pub(crate) fn envelope(&self, tag: u64, chain_id: u64, token: Address) -> TxEnvelope {
        let to = TxKind::Call(self.to.unwrap_or(token));
        let input = self.input.clone().unwrap_or_else(|| self.implied_input());
        let signature = signature(tag, &input);
        let (value, gas_limit) = (U256::ZERO, GAS_LIMIT);
        if self.legacy {
            let gas_price = u128::from(BASE_FEE).saturating_add(TIP);
            let chain_id = Some(chain_id);
            let tx = TxLegacy { chain_id, nonce: tag, gas_price, gas_limit, to, value, input };
            return TxEnvelope::Legacy(tx.into_signed(signature));
        }
        let tx = TxEip1559 {
            chain_id,
            nonce: tag,
            gas_limit,
            max_fee_per_gas: 100_u128.saturating_mul(GWEI),
            max_priority_fee_per_gas: TIP,
            to,
            value,
            access_list: Default::default(),
            input,
        };
        TxEnvelope::Eip1559(tx.into_signed(signature))
    }

    /// The logs it leaves, in order.
    pub(crate) fn logs(&self, token: Address) -> Vec<Log> {
        match self.ending {
            Ending::Failed => Vec::new(),
            Ending::Success | Ending::FailedWithLogs => {
                self.logs.iter().map(|spec| spec.log(token)).collect()
            }
        }
    }

    fn implied_input(&self) -> Bytes {
        let called = self.logs.iter().find_map(|spec| match spec {
            LogSpec::Transfer { from, to, value, .. } => {
                Some(transfer_from_call(*from, *to, *value))
            }
            _ => None,
        });
        called.unwrap_or_default()
    }
}

impl LogSpec {
    fn log(&self, token: Address) -> Log {
        let contract = match self {
            Self::Transfer { contract, .. } | Self::Raw { contract, .. } => contract,
            _ => &None,
        };
        let (topics, data) = self.topics_and_data();
        Log { address: contract.unwrap_or(token), data: LogData::new_unchecked(topics, data) }
    }

    fn topics_and_data(&self) -> (Vec<B256>, Bytes) {
        let named = |text: &str| keccak256(text.as_bytes());
        match self {
            Self::Transfer { from, to, value, .. } => {
                (vec![TRANSFER, from.into_word(), to.into_word()], words(&[(*value).into()]))
            }
            Self::Approval { owner, spender, value } => {
                (vec![APPROVAL, owner.into_word(), spender.into_word()], words(&[(*value).into()]))
            }
            Self::Pause => (vec![named("Pause()")], Bytes::new()),
            Self::Unpause => (vec![named("Unpause()")], Bytes::new()),
            Self::Params { basis_points, max_fee } => (
                vec![named("Params(uint256,uint256)")],
                words(&[(*basis_points).into(), (*max_fee).into()]),
            ),
            Self::Deprecate { successor } => {
                (vec![named("Deprecate(address)")], words(&[successor.into_word()]))
            }
            Self::AddedBlackList { account } => {
                (vec![named("AddedBlackList(address)")], words(&[account.into_word()]))
            }
            Self::DestroyedBlackFunds { account, value } => {
                (vec![destroyed()], words(&[account.into_word(), (*value).into()]))
            }
            // A log with a fifth topic cannot exist.
            Self::Raw { topics, data, .. } => {
                (topics.iter().take(4).copied().collect(), data.clone())
            }
        }
    }
}

/// The topic of `DestroyedBlackFunds(address,uint256)`.
pub(crate) fn destroyed() -> B256 {
    keccak256(b"DestroyedBlackFunds(address,uint256)")
}

/// A value that is no number of 256 bits counts as the largest one, which no test can overlook.
fn whole(value: impl TryInto<U256>) -> U256 {
    value.try_into().unwrap_or(U256::MAX)
}

fn words(words: &[B256]) -> Bytes {
    words.iter().flat_map(|word| word.0).collect::<Vec<u8>>().into()
}

fn transfer_call(to: Address, value: U256) -> Bytes {
    [&[0xa9, 0x05, 0x9c, 0xbb][..], &words(&[to.into_word(), value.into()])].concat().into()
}

fn transfer_from_call(from: Address, to: Address, value: U256) -> Bytes {
    let arguments = words(&[from.into_word(), to.into_word(), value.into()]);
    [&[0x23, 0xb8, 0x72, 0xdd][..], &arguments].concat().into()
}

/// Well formed and recoverable, by nobody's key: `s` is any number below half the group order.
fn signature(tag: u64, input: &Bytes) -> Signature {
    let s = keccak256([&b"lab"[..], &tag.to_be_bytes(), input].concat());
    Signature::new(GENERATOR_X, U256::from_be_bytes(s.0).wrapping_shr(2), false)
}

#[cfg(test)]
mod tests {
    use alloy::consensus::transaction::SignerRecoverable;
    use alloy::eips::Encodable2718;

    use super::*;

    const TOKEN: Address = Address::repeat_byte(0xda);
    const A: Address = Address::repeat_byte(0xaa);
    const B: Address = Address::repeat_byte(0xbb);

    #[test]
    fn the_hash_is_the_keccak_of_the_encoding_and_the_signer_recovers() {
        for tx in [Tx::transfer(A, B, 5_u64), Tx::transfer(A, B, 5_u64).legacy()] {
            let envelope = tx.envelope(3, 1, TOKEN);
            assert_eq!(*envelope.tx_hash(), keccak256(envelope.encoded_2718()));
            assert!(envelope.recover_signer().is_ok());
        }
    }

    #[test]
    fn the_hash_follows_the_tag_and_the_call_and_not_the_logs() {
        let hash = |tx: &Tx| *tx.envelope(tx.tag(), 1, TOKEN).tx_hash();
        let paid = Tx::transfer(A, B, 5_u64);
        assert_eq!(hash(&paid), hash(&paid.clone().and(LogSpec::Pause).failed()));
        assert_ne!(hash(&paid), hash(&paid.clone().tagged(1)));
        assert_ne!(hash(&paid), hash(&Tx::transfer(A, B, 6_u64)));
        assert_ne!(hash(&paid), hash(&paid.clone().on(A)));
    }

    #[test]
    fn a_fee_is_told_before_the_payment_and_out_of_it() {
        let logs = Tx::transfer_with_fee(A, B, 1000_u64, TOKEN, 3_u64).logs(TOKEN);
        let told: Vec<_> = logs.iter().map(|l| (l.topics()[2], l.data.data.clone())).collect();
        let word = |n: u64| words(&[U256::from(n).into()]);
        assert_eq!(told, [(TOKEN.into_word(), word(3)), (B.into_word(), word(997))]);
    }

    #[test]
    fn a_failed_transaction_has_no_logs_unless_it_lies() {
        let paid = Tx::transfer(A, B, 1_u64);
        assert_eq!(paid.clone().failed().logs(TOKEN).len(), 0);
        assert_eq!(paid.failed_with_logs().logs(TOKEN).len(), 1);
    }
}
