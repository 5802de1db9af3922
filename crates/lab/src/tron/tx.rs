//! A scripted TRON transaction: what it is on the wire, how it ends, and the logs it leaves.
//!
//! In: transfers and other events by name. Out: `raw_data`, a well-formed signature, a result.
//! Never: a result inside the id, so the same transaction can end differently in another block,
//! or never be seen again. Why: each ending is one that real nodes have shown and that a careless
//! reader has credited.

use alloy::primitives::{Address, B256, Bytes, Log, U256, keccak256};

use super::address::{PREFIX, with_prefix};
use super::logs::{LogSpec, words};
use super::raw::{Contract, Raw};

/// The x coordinate of secp256k1's generator: always a valid `r`, so that recovering a signer
/// always succeeds. SEC 2, section 2.4.1.
const GENERATOR_X: B256 =
    alloy::primitives::b256!("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798");
/// The most a contract call may burn if the script does not say, in sun.
const FEE_LIMIT: u64 = 150_000_000;

/// One transaction of a scripted block.
///
/// Its id follows from its tag, who calls what with which data, and its memo. Where an id is
/// already on the chain, mining counts the tag up until it is not: two equal payments are two
/// transactions, while one that a fork switch removed comes back under its own id.
#[derive(Clone, Debug, PartialEq)]
pub struct Tx {
    tag: u64,
    action: Action,
    memo: Bytes,
    ending: Ending,
    cost: Cost,
    logs: Vec<LogSpec>,
    calls: Vec<InnerCall>,
}

#[derive(Clone, Debug, PartialEq)]
enum Action {
    Call { owner: Option<Address>, contract: Option<Address>, input: Option<Bytes>, dirty: bool },
    Pay { from: Address, to: Address, sun: u64 },
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ending {
    Success,
    Reverted,
    OutOfEnergy,
    OutOfTime,
}

/// Who pays for a transaction, which decides the fields of its receipt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cost {
    /// Free bandwidth; energy is burnt.
    Burnt,
    /// Bandwidth is burnt as well.
    AllBurnt,
    /// Staked bandwidth and energy: no fee at all.
    Staked,
}

/// A call a contract made inside a transaction.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InnerCall {
    pub(crate) caller: Address,
    /// It failed and the caller went on.
    pub(crate) rejected: bool,
}

impl Tx {
    /// A call of the chain's token without logs.
    #[must_use]
    pub fn empty() -> Self {
        Self::of(Action::Call { owner: None, contract: None, input: None, dirty: false })
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

    /// A transfer while the token takes a fee: the net Transfer first, as `StandardTokenWithFees`
    /// does on TRON, then the fee's. `value` is what the payer sent, fee included; a fee above it
    /// leaves zero.
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
            .and_transfer(from, to, value.saturating_sub(fee))
            .and_transfer(from, owner, fee)
            .by(from)
            .with_input(transfer_call(to, value, 0))
    }

    /// Transfers a contract makes out of `from`'s allowance, on somebody else's call: nothing of
    /// them shows in the transaction's own data.
    #[must_use]
    pub fn batch(
        batcher: Address,
        caller: Address,
        from: Address,
        paid: &[(Address, u64)],
    ) -> Self {
        let calls = |tx: Self| tx.and_inner_call(batcher, false);
        let start = Self::empty().on(batcher).by(caller).with_input(batch_call(paid));
        let pay =
            |tx: Self, (to, value): &(Address, u64)| calls(tx.and_transfer(from, *to, *value));
        paid.iter().fold(start, pay)
    }

    /// TRX itself, in sun (a millionth of a TRX).
    #[must_use]
    pub fn trx(from: Address, to: Address, sun: u64) -> Self {
        Self::of(Action::Pay { from, to, sun })
    }

    fn of(action: Action) -> Self {
        let (ending, cost) = (Ending::Success, Cost::Burnt);
        let (memo, logs, calls) = (Bytes::new(), Vec::new(), Vec::new());
        Self { tag: 0, action, memo, ending, cost, logs, calls }
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

    /// A call that `caller`, a contract, made of the token; a rejected one failed, the caller went
    /// on, and no log is left of it.
    #[must_use]
    pub fn and_inner_call(mut self, caller: Address, rejected: bool) -> Self {
        self.calls.push(InnerCall { caller, rejected });
        self
    }

    /// Tells this transaction from others that are equal.
    #[must_use]
    pub fn tagged(self, tag: u64) -> Self {
        Self { tag, ..self }
    }

    /// The called contract; the chain's token if not said. Says nothing of a TRX payment.
    #[must_use]
    pub fn on(mut self, to: Address) -> Self {
        if let Action::Call { contract, .. } = &mut self.action {
            *contract = Some(to);
        }
        self
    }

    /// The calling account; the payer of the first transfer if not said.
    #[must_use]
    pub fn by(mut self, caller: Address) -> Self {
        if let Action::Call { owner, .. } = &mut self.action {
            *owner = Some(caller);
        }
        self
    }

    /// The calldata; that of the first transfer if not said.
    #[must_use]
    pub fn with_input(mut self, bytes: impl Into<Bytes>) -> Self {
        if let Action::Call { input, .. } = &mut self.action {
            *input = Some(bytes.into());
        }
        self
    }

    /// The implied calldata carries `0x41` inside its address word, as one in four real ones does;
    /// the chain ignores it and the logs are clean.
    #[must_use]
    pub fn with_dirty_word(mut self) -> Self {
        if let Action::Call { dirty, .. } = &mut self.action {
            *dirty = true;
        }
        self
    }

    /// Free text or any bytes, in `raw_data.data`.
    #[must_use]
    pub fn with_memo(self, memo: impl Into<Bytes>) -> Self {
        Self { memo: memo.into(), ..self }
    }

    /// The caller's bandwidth is used up: `net_fee` instead of `net_usage`.
    #[must_use]
    pub fn without_bandwidth(self) -> Self {
        Self { cost: Cost::AllBurnt, ..self }
    }

    /// The caller has staked for energy: no fee, no `packingFee`.
    #[must_use]
    pub fn staked(self) -> Self {
        Self { cost: Cost::Staked, ..self }
    }

    /// REVERT: no log is left.
    #[must_use]
    pub fn reverted(self) -> Self {
        Self { ending: Ending::Reverted, ..self }
    }

    /// OUT_OF_ENERGY: no log is left.
    #[must_use]
    pub fn out_of_energy(self) -> Self {
        Self { ending: Ending::OutOfEnergy, ..self }
    }

    /// OUT_OF_TIME, and the logs written until then are shown though nothing was moved: java-tron
    /// does not clear them (`VMActuator.execute`).
    #[must_use]
    pub fn out_of_time(self) -> Self {
        Self { ending: Ending::OutOfTime, ..self }
    }

    pub(crate) fn tag(&self) -> u64 {
        self.tag
    }

    pub(crate) fn ending(&self) -> Ending {
        self.ending
    }

    pub(crate) fn cost(&self) -> Cost {
        self.cost
    }

    pub(crate) fn calls(&self) -> &[InnerCall] {
        &self.calls
    }

    /// `raw_data` under the tag given, made at `start`, in milliseconds since 1970, on the chain
    /// of a genesis block.
    pub(crate) fn raw(&self, tag: u64, start: u64, genesis: B256, token: Address) -> Raw {
        let owner = |of: Address| Bytes::copy_from_slice(&with_prefix(of));
        let (contract, fee_limit) = match &self.action {
            Action::Pay { from, to, sun } => {
                (Contract::Transfer { owner: owner(*from), to: owner(*to), amount: *sun }, 0)
            }
            Action::Call { owner: caller, contract, input, dirty } => {
                let caller = caller.unwrap_or_else(|| self.implied_caller());
                let data = input.clone().unwrap_or_else(|| self.implied_input(*dirty));
                let contract = owner(contract.unwrap_or(token));
                (Contract::Trigger { owner: owner(caller), contract, data }, FEE_LIMIT)
            }
        };
        let mut block = [0_u8; 8];
        block.iter_mut().zip(genesis.iter().skip(8)).for_each(|(to, from)| *to = *from);
        Raw {
            refers: Some(([0, 0], block)),
            // A day, the most a node accepts.
            expiration: start.saturating_add(86_400_000),
            timestamp: start.saturating_add(tag),
            fee_limit,
            memo: self.memo.clone(),
            contract,
        }
    }

    /// The logs it leaves, in order.
    pub(crate) fn logs(&self, token: Address) -> Vec<Log> {
        match self.ending {
            Ending::Reverted | Ending::OutOfEnergy => Vec::new(),
            Ending::Success | Ending::OutOfTime => {
                self.logs.iter().map(|spec| spec.log(token)).collect()
            }
        }
    }

    /// What the call returns. USDT's `transfer` on TRON forgets to return `true`, so a success
    /// returns 32 zero bytes.
    pub(crate) fn returned(&self) -> Bytes {
        match (self.ending, self.logs.first()) {
            (Ending::Success, _) if !self.calls.is_empty() => Bytes::new(),
            (Ending::Success, Some(LogSpec::Transfer { .. })) => words(&[B256::ZERO]),
            (Ending::Success, Some(LogSpec::Approval { .. })) => words(&[B256::with_last_byte(1)]),
            _ => Bytes::new(),
        }
    }

    fn implied_caller(&self) -> Address {
        let caller = self.logs.iter().find_map(|spec| match spec {
            LogSpec::Transfer { from, .. } => Some(*from),
            LogSpec::Approval { owner, .. } => Some(*owner),
            _ => None,
        });
        caller.unwrap_or(Address::repeat_byte(0xee))
    }

    fn implied_input(&self, dirty: bool) -> Bytes {
        let prefix = if dirty { PREFIX } else { 0 };
        let called = self.logs.iter().find_map(|spec| match spec {
            LogSpec::Transfer { to, value, .. } => Some(transfer_call(*to, *value, prefix)),
            LogSpec::Approval { spender, value, .. } => {
                Some(call("approve(address,uint256)", &[spender.into_word(), (*value).into()]))
            }
            _ => None,
        });
        called.unwrap_or_default()
    }
}

impl Ending {
    /// Its name, and its number in `Transaction.Result.contractResult`.
    pub(crate) fn result(self) -> (&'static str, u64) {
        match self {
            Self::Success => ("SUCCESS", 1),
            Self::Reverted => ("REVERT", 2),
            Self::OutOfEnergy => ("OUT_OF_ENERGY", 10),
            Self::OutOfTime => ("OUT_OF_TIME", 11),
        }
    }

    /// What a node says of a failure.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Success => "",
            Self::Reverted => "REVERT opcode executed",
            Self::OutOfEnergy => {
                "Not enough energy for 'SSTORE' operation executing: \
                 curInvokeEnergyLimit[2000], curOpEnergy[5000], usedEnergy[1239]"
            }
            Self::OutOfTime => "CPU timeout for 'PUSH1' operation executing",
        }
    }
}

/// A value that is no number of 256 bits counts as the largest one, which no test can overlook.
fn whole(value: impl TryInto<U256>) -> U256 {
    value.try_into().unwrap_or(U256::MAX)
}

fn call(signature: &str, arguments: &[B256]) -> Bytes {
    let hash = keccak256(signature);
    let selector = hash.get(..4).unwrap_or_default();
    [selector, &words(arguments)].concat().into()
}

fn transfer_call(to: Address, value: U256, prefix: u8) -> Bytes {
    let mut word = to.into_word();
    if let Some(before) = word.0.get_mut(11) {
        *before = prefix;
    }
    call("transfer(address,uint256)", &[word, value.into()])
}

/// A call whose data names neither a token nor an amount a parser would know.
fn batch_call(paid: &[(Address, u64)]) -> Bytes {
    let words: Vec<B256> = paid.iter().map(|(to, _)| keccak256(to)).collect();
    call("multisend(bytes32[])", &words)
}

/// Well formed and recoverable, by nobody's key: `s` is any number below half the group order.
pub(crate) fn signature(of: &[u8]) -> [u8; 65] {
    let s: B256 =
        U256::from_be_bytes(keccak256([&b"lab"[..], of].concat()).0).wrapping_shr(2).into();
    let mut bytes = [0_u8; 65];
    let rs = GENERATOR_X.iter().chain(s.iter());
    bytes.iter_mut().zip(rs).for_each(|(to, from)| *to = *from);
    bytes
}
