//! A live Ethereum node for the tests: anvil, and on it a token that behaves as USDT does.
//!
//! In: what to mine, pay, fork away. Out: real JSON-RPC and WebSocket on loopback.
//! Never: a clock, a wait by time, a mock. Blocks are `BLOCK_SECONDS` apart from a fixed genesis
//! and hold what was sent, in that order, so the same calls give the same hashes in each run.
//! Why: recorded answers show what a node said once; a live one shows what the daemon does next.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use alloy::eips::BlockNumberOrTag;
use alloy::network::TransactionBuilder;
use alloy::primitives::{Address, B256, Bytes, TxKind, U256};
use alloy::providers::ext::AnvilApi;
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::types::anvil::{ReorgOptions, TransactionData};
use alloy::rpc::types::{Block, TransactionReceipt, TransactionRequest};
use alloy::sol;
use alloy::sol_types::{SolCall, SolConstructor, SolEvent};
use tokio::sync::oneshot;

sol!(TestUsdt, "contracts/TestUsdt.json");
sol!(Multisend, "contracts/Multisend.json");

/// Seconds between two blocks, as on Ethereum.
pub(crate) const BLOCK_SECONDS: u64 = 12;
/// Seconds since 1970 of block 0.
pub(crate) const GENESIS_SECONDS: u64 = 1_700_000_000;

/// Longest wait for the node to say where it listens; beyond it the test fails.
const START_DEADLINE: Duration = Duration::from_secs(60);
/// Enough for every call made here; a fixed limit lets a transfer fail on chain.
const GAS: u64 = 3_000_000;

/// How the node is started.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// The chain's id; anvil's own is 31337.
    pub(crate) chain_id: u64,
    /// Accounts with ether, the owner of tokens among them.
    pub(crate) accounts: u16,
    /// `safe` is this many blocks below the tip and `finalized` twice as many.
    pub(crate) slots_in_an_epoch: u64,
    /// Of how many of the newest blocks the state can be asked for; of all where it is not said,
    /// which makes thousands of blocks take minutes.
    pub(crate) states: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self { chain_id: 31_337, accounts: 10, slots_in_an_epoch: 1, states: None }
    }
}

/// A running node. It mines when told to (`mine`), until `set_automine` or `set_interval` says
/// otherwise, and ends when this is dropped or this process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Anvil {
    /// The node as alloy speaks to it, for what has no method here.
    pub(crate) provider: RootProvider,
    accounts: Vec<Address>,
    process: Process,
}

/// A token contract on the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) address: Address,
    pub(crate) decimals: u8,
}

/// One Transfer log, as it sits in its block now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) token: Address,
    pub(crate) from: Address,
    pub(crate) to: Address,
    pub(crate) amount: u128,
    pub(crate) log_index: u64,
}

/// The node: its start and its addresses.
impl Anvil {
    /// Starts a node on a free port of the loopback and waits until it answers.
    pub(crate) async fn start(options: Options) -> Self {
        let process = Process::start(&program(), &options).await;
        let url = format!("http://127.0.0.1:{}", process.port);
        let provider = RootProvider::new_http(url.parse().expect("a URL made here"));
        provider
            .anvil_set_block_timestamp_interval(BLOCK_SECONDS)
            .await
            .expect("anvil_setBlockTimestampInterval");
        let accounts = provider.get_accounts().await.expect("eth_accounts");
        Self { provider, accounts, process }
    }

    pub(crate) fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.process.port)
    }

    pub(crate) fn ws_url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.process.port)
    }

    /// The `n`-th account with ether. The first one, `owner`, deploys and owns the tokens.
    pub(crate) fn account(&self, n: usize) -> Address {
        self.accounts[n]
    }

    pub(crate) fn owner(&self) -> Address {
        self.account(0)
    }
}

/// Blocks and time.
impl Anvil {
    /// Mines `blocks` blocks; what was sent and waits goes into the first of them.
    pub(crate) async fn mine(&self, blocks: u64) {
        self.provider.anvil_mine(Some(blocks), None).await.expect("anvil_mine");
    }

    /// With `true` each transaction gets a block of its own at once.
    pub(crate) async fn set_automine(&self, on: bool) {
        self.provider.anvil_set_auto_mine(on).await.expect("evm_setAutomine");
    }

    /// Mines a block every `seconds` of real time; 0 ends that.
    pub(crate) async fn set_interval(&self, seconds: u64) {
        self.provider.anvil_set_interval_mining(seconds).await.expect("evm_setIntervalMining");
    }

    pub(crate) async fn height(&self) -> u64 {
        self.block(BlockNumberOrTag::Latest).await.header.number
    }

    pub(crate) async fn block_hash(&self, height: u64) -> B256 {
        self.block(height.into()).await.header.hash
    }

    /// The block at a height or a tag; it must exist.
    pub(crate) async fn block(&self, at: BlockNumberOrTag) -> Block {
        let found = self.provider.get_block_by_number(at).await.expect("eth_getBlockByNumber");
        found.unwrap_or_else(|| panic!("no block {at}"))
    }

    /// Gives the next block this time, in seconds since 1970; the following ones go on from there.
    pub(crate) async fn set_next_block_time(&self, seconds: u64) {
        let set = self.provider.anvil_set_next_block_timestamp(seconds).await;
        set.expect("evm_setNextBlockTimestamp");
    }

    /// Lets `seconds` pass between the tip and the next block.
    pub(crate) async fn advance_time(&self, seconds: u64) {
        let tip = self.block(BlockNumberOrTag::Latest).await.header.timestamp;
        self.set_next_block_time(tip + seconds).await;
    }

    /// Replaces the last `depth` blocks by as many new ones. They hold `mined` alone: each with the
    /// place of its block, 0 being the lowest new one, in the order of their logs. Every other
    /// transaction of the old blocks is gone, also from the pool.
    pub(crate) async fn reorg(&self, depth: u64, mined: Vec<(TransactionData, u64)>) {
        let options = ReorgOptions { depth, tx_block_pairs: mined };
        self.provider.anvil_reorg(options).await.expect("anvil_reorg");
    }

    /// A mined transaction, as `reorg` takes it to mine it again under its own hash. To be asked
    /// before the reorg that drops it.
    pub(crate) async fn again(&self, tx: B256) -> TransactionData {
        let raw = self.provider.get_raw_transaction_by_hash(tx).await;
        TransactionData::Raw(
            raw.expect("eth_getRawTransactionByHash").expect("a known transaction"),
        )
    }

    /// Remembers the whole chain; the answer is for one `revert`.
    pub(crate) async fn snapshot(&self) -> U256 {
        self.provider.anvil_snapshot().await.expect("evm_snapshot")
    }

    pub(crate) async fn revert(&self, snapshot: U256) {
        let done = self.provider.anvil_revert(snapshot).await.expect("evm_revert");
        assert!(done, "no snapshot {snapshot}");
    }
}

/// Paying. A payment is sent and waits for the next block.
impl Anvil {
    /// Sends `amount` base units and returns the transaction's hash.
    pub(crate) async fn transfer(
        &self,
        token: Token,
        from: Address,
        to: Address,
        amount: u128,
    ) -> B256 {
        self.send(transfer_request(token, from, to, amount)).await
    }

    /// Sends the payments as one transaction of `from`, which `deploy_multisend` was told of.
    pub(crate) async fn multisend(
        &self,
        contract: Address,
        from: Address,
        payments: Vec<Multisend::Payment>,
    ) -> B256 {
        self.send(call(from, contract, &Multisend::sendCall { payments })).await
    }

    /// The same, after an inner call that made the `undone` payments and was reverted.
    pub(crate) async fn multisend_after_revert(
        &self,
        contract: Address,
        from: Address,
        undone: Vec<Multisend::Payment>,
        kept: Vec<Multisend::Payment>,
    ) -> B256 {
        self.send(call(from, contract, &Multisend::sendAfterRevertCall { undone, kept })).await
    }

    /// Takes a transaction that waits out of the pool.
    pub(crate) async fn drop_transaction(&self, tx: B256) {
        let dropped =
            self.provider.anvil_drop_transaction(tx).await.expect("anvil_dropTransaction");
        assert_eq!(dropped, Some(tx), "the pool holds no such transaction");
    }

    /// Puts a transaction into the pool.
    pub(crate) async fn send(&self, request: TransactionRequest) -> B256 {
        let sent = self.provider.send_transaction(request).await.expect("eth_sendTransaction");
        *sent.tx_hash()
    }

    /// The receipt, or none while the transaction waits or after a reorg dropped it.
    pub(crate) async fn receipt(&self, tx: B256) -> Option<TransactionReceipt> {
        self.provider.get_transaction_receipt(tx).await.expect("eth_getTransactionReceipt")
    }

    /// The Transfer logs of a mined transaction, of whatever token, in their order.
    pub(crate) async fn moved(&self, tx: B256) -> Vec<Moved> {
        let receipt = self.receipt(tx).await.expect("a mined transaction");
        let transfers = receipt.logs().iter().filter_map(|log| {
            let transfer = TestUsdt::Transfer::decode_log(&log.inner).ok()?;
            Some(Moved {
                token: log.address(),
                from: transfer.from,
                to: transfer.to,
                amount: transfer.value.to(),
                log_index: log.log_index.expect("a mined log has its place"),
            })
        });
        transfers.collect()
    }

    /// Base units of `token` that `holder` has at the tip.
    pub(crate) async fn balance_of(&self, token: Token, holder: Address) -> u128 {
        let request =
            call(self.owner(), token.address, &TestUsdt::balanceOfCall { account: holder });
        let answer = self.provider.call(request).await.expect("eth_call balanceOf");
        TestUsdt::balanceOfCall::abi_decode_returns(&answer).expect("one word").to()
    }
}

/// What the owner of a token does. Each is mined before it returns, and must succeed.
impl Anvil {
    /// Deploys a token whose whole supply, in base units, is the owner's.
    pub(crate) async fn deploy_token(&self, supply: u128, decimals: u8) -> Token {
        let arguments = TestUsdt::constructorCall {
            initialSupply: U256::from(supply),
            tokenDecimals: U256::from(decimals),
        };
        let code = [TestUsdt::BYTECODE.as_ref(), arguments.abi_encode().as_slice()].concat();
        Token { address: self.deploy(code.into()).await, decimals }
    }

    /// Deploys the contract of `multisend`, and lets it spend every one of `tokens` of `payer`.
    pub(crate) async fn deploy_multisend(&self, payer: Address, tokens: &[Token]) -> Address {
        let contract = self.deploy(Multisend::BYTECODE.clone()).await;
        for token in tokens {
            let approval = TestUsdt::approveCall { spender: contract, value: U256::MAX };
            self.settle(call(payer, token.address, &approval)).await;
        }
        contract
    }

    /// Turns the fee on: `basis_points` (below 20) of each transfer, but `maximum` (below 50) whole
    /// tokens at most.
    pub(crate) async fn set_fee(&self, token: Token, basis_points: u64, maximum: u64) {
        let fee = TestUsdt::setParamsCall {
            newBasisPoints: U256::from(basis_points),
            newMaxFee: U256::from(maximum),
        };
        self.command(token, &fee).await;
    }

    pub(crate) async fn pause(&self, token: Token) -> TransactionReceipt {
        self.command(token, &TestUsdt::pauseCall {}).await
    }

    pub(crate) async fn unpause(&self, token: Token) -> TransactionReceipt {
        self.command(token, &TestUsdt::unpauseCall {}).await
    }

    pub(crate) async fn blacklist(&self, token: Token, user: Address) -> TransactionReceipt {
        self.command(token, &TestUsdt::addBlackListCall { user }).await
    }

    /// Takes all that a blacklisted address has. No Transfer tells of it.
    pub(crate) async fn destroy_funds(&self, token: Token, user: Address) -> TransactionReceipt {
        self.command(token, &TestUsdt::destroyBlackFundsCall { user }).await
    }

    /// Adds to the owner's balance. No Transfer tells of it.
    pub(crate) async fn issue(&self, token: Token, amount: u128) -> TransactionReceipt {
        self.command(token, &TestUsdt::issueCall { amount: U256::from(amount) }).await
    }

    /// From now on `token` hands everything to `successor`, whose address the logs then carry.
    pub(crate) async fn deprecate(&self, token: Token, successor: Token) -> TransactionReceipt {
        let link = TestUsdt::setPredecessorCall { token: token.address };
        self.command(successor, &link).await;
        self.command(token, &TestUsdt::deprecateCall { successor: successor.address }).await
    }

    /// Any other call of the owner.
    pub(crate) async fn command(
        &self,
        token: Token,
        function: &impl SolCall,
    ) -> TransactionReceipt {
        self.settle(call(self.owner(), token.address, function)).await
    }

    async fn deploy(&self, code: Bytes) -> Address {
        let request = request(self.owner()).with_kind(TxKind::Create).with_input(code);
        self.settle(request).await.contract_address.expect("a new contract's address")
    }

    /// Sends, mines and checks one transaction, whichever way the node mines.
    async fn settle(&self, request: TransactionRequest) -> TransactionReceipt {
        let receipt = if self.provider.anvil_get_auto_mine().await.expect("anvil_getAutomine") {
            self.provider.eth_send_transaction_sync(request).await.expect("a receipt")
        } else {
            let tx = self.send(request).await;
            self.mine(1).await;
            self.receipt(tx).await.expect("mined just now")
        };
        assert!(receipt.status(), "the contract refused: {receipt:?}");
        receipt
    }
}

/// One of the payments of a `multisend`, in base units.
pub(crate) fn payment(token: Token, to: Address, amount: u128) -> Multisend::Payment {
    Multisend::Payment { token: token.address, to, value: U256::from(amount) }
}

/// A token transfer that is not sent yet, as `send` and `reorg` take it.
pub(crate) fn transfer_request(
    token: Token,
    from: Address,
    to: Address,
    amount: u128,
) -> TransactionRequest {
    call(from, token.address, &TestUsdt::transferCall { to, value: U256::from(amount) })
}

fn call(from: Address, contract: Address, function: &impl SolCall) -> TransactionRequest {
    request(from).with_to(contract).with_input(function.abi_encode())
}

/// The price is fixed and high: a transaction stays valid wherever a reorg puts it.
fn request(from: Address) -> TransactionRequest {
    TransactionRequest::default()
        .with_from(from)
        .with_gas_limit(GAS)
        .with_max_fee_per_gas(100_000_000_000)
        .with_max_priority_fee_per_gas(1_000_000_000)
}

/// Where the node is: named by `BURSAR_ANVIL`, or installed by `tests/run`.
fn program() -> PathBuf {
    let installed = ".cache/node/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil";
    let program = std::env::var_os("BURSAR_ANVIL").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(installed),
        Into::into,
    );
    assert!(
        program.is_file(),
        "no anvil at {}: tests/run installs it there, or name one in BURSAR_ANVIL",
        program.display()
    );
    program
}

/// Runs the node and ends it when its own input ends, which the kernel sees to even when this
/// process is killed. A node that ends by itself closes the output, so its end is seen here.
const KEEPER: &str = r#"
"$@" 2>&1 &
node=$!
exec >&-
read -r line
kill -9 "$node"
wait "$node"
"#;

/// The operating system's side of a node.
#[derive(Debug)]
struct Process {
    keeper: Child,
    port: u16,
    /// What the node puts on disk; removed with it.
    _scratch: tempfile::TempDir,
}

impl Process {
    async fn start(program: &Path, options: &Options) -> Self {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", KEEPER, "keeper"]).arg(program).args(["--host", "127.0.0.1"]);
        command.args(["--port", "0", "--no-mining", "--order", "fifo", "--cache-path"]);
        command.arg(scratch.path());
        for (name, value) in [
            ("--chain-id", options.chain_id),
            ("--accounts", options.accounts.into()),
            ("--slots-in-an-epoch", options.slots_in_an_epoch),
            ("--timestamp", GENESIS_SECONDS),
        ] {
            command.arg(name).arg(value.to_string());
        }
        if let Some(states) = options.states {
            command.arg("--prune-history").arg(states.to_string());
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).process_group(0);
        let mut keeper = command.spawn().expect("/bin/sh starts");
        let output = keeper.stdout.take().expect("piped above");
        let mut process = Self { keeper, port: 0, _scratch: scratch };
        let (tell, told) = oneshot::channel();
        std::thread::spawn(move || follow(output, tell));
        let start = tokio::time::timeout(START_DEADLINE, told).await;
        process.port =
            start.expect("anvil listens in time").expect("told").unwrap_or_else(|said| {
                panic!("{} ended before it listened: {said}", program.display())
            });
        process
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        if let Err(error) = self.keeper.wait() {
            eprintln!("anvil's keeper was not waited for: {error}");
        }
    }
}

/// Tells the port the node listens on, or what it said before it ended; then reads on, so that the
/// node never waits for a reader.
fn follow(output: ChildStdout, tell: oneshot::Sender<Result<u16, String>>) {
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let mut said = String::new();
    let port = lines.find_map(|line| {
        said.push_str(&line);
        said.push('\n');
        line.strip_prefix("Listening on 127.0.0.1:")?.parse().ok()
    });
    if tell.send(port.ok_or(said)).is_ok() {
        lines.for_each(drop);
    }
}

#[cfg(test)]
mod tests {
    use alloy::providers::ProviderBuilder;
    use alloy::providers::WsConnect;

    use super::*;

    const USDT: u128 = 1_000_000;
    const SUPPLY: u128 = 1_000_000 * USDT;

    /// An address nobody pays from.
    fn receiver(n: u8) -> Address {
        Address::repeat_byte(n)
    }

    async fn node_with_token() -> (Anvil, Token) {
        let anvil = Anvil::start(Options::default()).await;
        let token = anvil.deploy_token(SUPPLY, 6).await;
        (anvil, token)
    }

    /// Receiver and amount of each Transfer, in order.
    fn parts(moved: &[Moved]) -> Vec<(Address, u128)> {
        moved.iter().map(|transfer| (transfer.to, transfer.amount)).collect()
    }

    #[tokio::test]
    async fn a_payment_waits_for_a_block_and_then_has_one_log() {
        let (anvil, token) = node_with_token().await;
        let tx = anvil.transfer(token, anvil.owner(), receiver(1), 25 * USDT).await;
        assert_eq!(anvil.receipt(tx).await, None);
        anvil.mine(1).await;
        let expected = Moved {
            token: token.address,
            from: anvil.owner(),
            to: receiver(1),
            amount: 25 * USDT,
            log_index: 0,
        };
        assert_eq!(anvil.moved(tx).await, [expected]);
        assert_eq!(anvil.balance_of(token, receiver(1)).await, 25 * USDT);
        assert_eq!(anvil.balance_of(token, anvil.owner()).await, SUPPLY - 25 * USDT);
    }

    #[tokio::test]
    async fn transfer_returns_nothing_as_the_real_one() {
        let (anvil, token) = node_with_token().await;
        let request = transfer_request(token, anvil.owner(), receiver(1), USDT);
        assert_eq!(anvil.provider.call(request).await.expect("eth_call"), Bytes::new());
    }

    #[tokio::test]
    async fn an_18_decimals_twin_has_the_same_symbol() {
        let anvil = Anvil::start(Options { chain_id: 56, ..Options::default() }).await;
        let twin = anvil.deploy_token(SUPPLY * 1_000_000_000_000, 18).await;
        for (function, expected) in [
            (TestUsdt::symbolCall {}.abi_encode(), "USDT".to_owned()),
            (TestUsdt::nameCall {}.abi_encode(), "Tether USD".to_owned()),
        ] {
            let request = request(anvil.owner()).with_to(twin.address).with_input(function);
            let answer = anvil.provider.call(request).await.expect("eth_call");
            assert_eq!(TestUsdt::symbolCall::abi_decode_returns(&answer), Ok(expected));
        }
        let decimals = call(anvil.owner(), twin.address, &TestUsdt::decimalsCall {});
        let answer = anvil.provider.call(decimals).await.expect("eth_call");
        assert_eq!(TestUsdt::decimalsCall::abi_decode_returns(&answer), Ok(U256::from(18)));
        assert_eq!(anvil.provider.get_chain_id().await.expect("eth_chainId"), 56);
    }

    #[tokio::test]
    async fn one_transaction_pays_several_receivers_and_one_receiver_twice() {
        let (anvil, token) = node_with_token().await;
        let look_alike = anvil.deploy_token(SUPPLY, 6).await;
        let payer = anvil.owner();
        let contract = anvil.deploy_multisend(payer, &[token, look_alike]).await;
        let payments = vec![
            payment(token, receiver(1), 60 * USDT),
            payment(token, receiver(1), 40 * USDT),
            payment(look_alike, receiver(1), 7 * USDT),
            payment(token, receiver(2), 5 * USDT),
        ];
        let tx = anvil.multisend(contract, payer, payments).await;
        anvil.mine(1).await;
        let moved = anvil.moved(tx).await;
        let expected = [
            (receiver(1), 60 * USDT),
            (receiver(1), 40 * USDT),
            (receiver(1), 7 * USDT),
            (receiver(2), 5 * USDT),
        ];
        assert_eq!(parts(&moved), expected);
        assert!(moved.iter().all(|transfer| transfer.from == payer));
        let tokens: Vec<_> = moved.iter().map(|transfer| transfer.token).collect();
        assert_eq!(tokens, [token, token, look_alike, token].map(|token| token.address));
        assert_eq!(anvil.balance_of(token, receiver(1)).await, 100 * USDT);
    }

    #[tokio::test]
    async fn transfers_of_a_reverted_inner_call_leave_no_log() {
        let (anvil, token) = node_with_token().await;
        let contract = anvil.deploy_multisend(anvil.owner(), &[token]).await;
        let undone = vec![payment(token, receiver(1), 90 * USDT)];
        let kept = vec![payment(token, receiver(2), 3 * USDT)];
        let tx = anvil.multisend_after_revert(contract, anvil.owner(), undone, kept).await;
        anvil.mine(1).await;
        assert!(anvil.receipt(tx).await.expect("mined").status());
        assert_eq!(parts(&anvil.moved(tx).await), [(receiver(2), 3 * USDT)]);
        assert_eq!(anvil.balance_of(token, receiver(1)).await, 0);
    }

    #[tokio::test]
    async fn a_fee_is_a_transfer_of_its_own_before_the_net_one() {
        let (anvil, token) = node_with_token().await;
        let payer = anvil.account(1);
        anvil.transfer(token, anvil.owner(), payer, 100_000 * USDT).await;
        anvil.set_fee(token, 10, 5).await;
        let small = anvil.transfer(token, payer, receiver(1), 100 * USDT).await;
        let capped = anvil.transfer(token, payer, receiver(2), 50_000 * USDT).await;
        anvil.mine(1).await;
        let expected = [(anvil.owner(), USDT / 10), (receiver(1), 100 * USDT - USDT / 10)];
        assert_eq!(parts(&anvil.moved(small).await), expected);
        let expected = [(anvil.owner(), 5 * USDT), (receiver(2), 49_995 * USDT)];
        assert_eq!(parts(&anvil.moved(capped).await), expected);
    }

    #[tokio::test]
    async fn refused_transfers_are_mined_as_failures_without_logs() {
        let (anvil, token) = node_with_token().await;
        let (payer, frozen) = (anvil.account(1), anvil.account(2));
        for account in [payer, frozen] {
            anvil.transfer(token, anvil.owner(), account, USDT).await;
        }
        anvil.blacklist(token, frozen).await;
        let too_much = anvil.transfer(token, payer, receiver(1), 2 * USDT).await;
        let blacklisted = anvil.transfer(token, frozen, receiver(1), USDT).await;
        anvil.pause(token).await;
        let paused = anvil.transfer(token, payer, receiver(1), USDT).await;
        anvil.mine(1).await;
        for tx in [too_much, blacklisted, paused] {
            assert!(!anvil.receipt(tx).await.expect("mined").status());
            assert_eq!(anvil.moved(tx).await, []);
        }
        anvil.unpause(token).await;
        let tx = anvil.transfer(token, payer, receiver(1), USDT).await;
        anvil.mine(1).await;
        assert_eq!(parts(&anvil.moved(tx).await), [(receiver(1), USDT)]);
    }

    /// The first bytes of each topic are those of the logs of USDT on Ethereum.
    #[tokio::test]
    async fn the_owners_events_have_the_real_topic_and_no_indexed_argument() {
        let (anvil, token) = node_with_token().await;
        let frozen = anvil.account(1);
        let next = anvil.deploy_token(0, 6).await;
        let redeem = TestUsdt::redeemCall { amount: U256::from(1) };
        let fee = TestUsdt::setParamsCall { newBasisPoints: U256::ZERO, newMaxFee: U256::ZERO };
        let forgive = TestUsdt::removeBlackListCall { user: frozen };
        for (receipt, topic, words) in [
            (anvil.issue(token, USDT).await, 0xcb82_41ad_u32, 1),
            (anvil.command(token, &redeem).await, 0x702d_5967, 1),
            (anvil.command(token, &fee).await, 0xb044_a1e4, 2),
            (anvil.blacklist(token, frozen).await, 0x42e1_6015, 1),
            (anvil.destroy_funds(token, frozen).await, 0x61e6_e66b, 2),
            (anvil.command(token, &forgive).await, 0xd7e9_ec6e, 1),
            (anvil.pause(token).await, 0x6985_a022, 0),
            (anvil.unpause(token).await, 0x7805_862f, 0),
            (anvil.deprecate(token, next).await, 0xcc35_8699, 1),
        ] {
            let [log] = receipt.logs() else { panic!("not one log: {receipt:?}") };
            assert_eq!(log.topics()[0][..4], topic.to_be_bytes());
            assert_eq!((log.topics().len(), log.data().data.len()), (1, words * 32));
        }
        assert_eq!(TestUsdt::Transfer::SIGNATURE_HASH[..4], 0xddf2_52ad_u32.to_be_bytes());
        assert_eq!(TestUsdt::Approval::SIGNATURE_HASH[..4], 0x8c5b_e1e5_u32.to_be_bytes());
    }

    #[tokio::test]
    async fn issuing_and_destroying_change_balances_without_a_transfer() {
        let (anvil, token) = node_with_token().await;
        let frozen = anvil.account(1);
        anvil.transfer(token, anvil.owner(), frozen, 9 * USDT).await;
        let issued = anvil.issue(token, 4 * USDT).await;
        assert_eq!(anvil.balance_of(token, anvil.owner()).await, SUPPLY - 5 * USDT);
        anvil.blacklist(token, frozen).await;
        let destroyed = anvil.destroy_funds(token, frozen).await;
        assert_eq!(anvil.balance_of(token, frozen).await, 0);
        for receipt in [issued, destroyed] {
            assert_eq!(anvil.moved(receipt.transaction_hash).await, []);
        }
    }

    #[tokio::test]
    async fn after_deprecation_the_logs_come_from_the_successor() {
        let (anvil, token) = node_with_token().await;
        let next = anvil.deploy_token(SUPPLY, 6).await;
        anvil.deprecate(token, next).await;
        let tx = anvil.transfer(token, anvil.owner(), receiver(1), USDT).await;
        anvil.mine(1).await;
        let moved = anvil.moved(tx).await;
        assert_eq!(parts(&moved), [(receiver(1), USDT)]);
        assert_eq!(moved[0].token, next.address);
        assert_eq!(anvil.balance_of(token, receiver(1)).await, USDT);
    }

    // before   .. 3 [pay] 4 [] 5
    // after    .. 3'[]    4'[] 5'
    #[tokio::test]
    async fn a_reorg_drops_a_payment() {
        let (anvil, token) = node_with_token().await;
        let tx = anvil.transfer(token, anvil.owner(), receiver(1), USDT).await;
        anvil.mine(3).await;
        let mined = anvil.receipt(tx).await.expect("mined").block_number.expect("a height");
        let tip = anvil.height().await;
        let (below, old) = (anvil.block_hash(mined - 1).await, anvil.block_hash(mined).await);
        anvil.reorg(3, vec![]).await;
        assert_eq!(anvil.height().await, tip);
        assert_eq!(anvil.block_hash(mined - 1).await, below);
        assert_ne!(anvil.block_hash(mined).await, old);
        assert_eq!(anvil.receipt(tx).await, None);
        assert_eq!(anvil.balance_of(token, receiver(1)).await, 0);
        anvil.mine(2).await;
        assert_eq!(anvil.receipt(tx).await, None, "it did not stay in the pool");
    }

    // before   .. n [pay]         n+1 []
    // after    .. n'[]            n+1'[other other pay]
    #[tokio::test]
    async fn a_reorg_mines_a_payment_again_at_another_height_and_log_index() {
        let (anvil, token) = node_with_token().await;
        let other = anvil.account(1);
        anvil.transfer(token, anvil.owner(), other, 10 * USDT).await;
        anvil.mine(1).await;
        let tx = anvil.transfer(token, anvil.owner(), receiver(1), 25 * USDT).await;
        anvil.mine(2).await;
        let before = anvil.receipt(tx).await.expect("mined");
        assert_eq!(anvil.moved(tx).await[0].log_index, 0);
        let first = TransactionData::JSON(transfer_request(token, other, receiver(2), USDT));
        let again = anvil.again(tx).await;
        anvil.reorg(2, vec![(first.clone(), 1), (first, 1), (again, 1)]).await;
        let after = anvil.receipt(tx).await.expect("mined again under the same hash");
        assert_eq!(after.block_number, before.block_number.map(|height| height + 1));
        assert_ne!(after.block_hash, before.block_hash);
        let moved = anvil.moved(tx).await;
        assert_eq!((parts(&moved), moved[0].log_index), (vec![(receiver(1), 25 * USDT)], 2));
        assert_eq!(anvil.balance_of(token, receiver(1)).await, 25 * USDT);
        assert_eq!(anvil.balance_of(token, receiver(2)).await, 2 * USDT);
    }

    #[tokio::test]
    async fn safe_and_finalized_follow_the_tip_by_epochs() {
        let anvil = Anvil::start(Options { slots_in_an_epoch: 4, ..Options::default() }).await;
        anvil.mine(20).await;
        let safe = anvil.block(BlockNumberOrTag::Safe).await.header.number;
        let finalized = anvil.block(BlockNumberOrTag::Finalized).await.header.number;
        assert_eq!((anvil.height().await, safe, finalized), (20, 16, 12));
    }

    #[tokio::test]
    async fn block_times_are_those_that_were_asked_for() {
        let anvil = Anvil::start(Options::default()).await;
        let time = async |height: u64| anvil.block(height.into()).await.header.timestamp;
        anvil.mine(2).await;
        assert_eq!(time(0).await, GENESIS_SECONDS);
        assert_eq!(time(2).await, GENESIS_SECONDS + 2 * BLOCK_SECONDS);
        anvil.advance_time(1_800).await;
        anvil.mine(2).await;
        assert_eq!(time(3).await, GENESIS_SECONDS + 2 * BLOCK_SECONDS + 1_800);
        assert_eq!(time(4).await, time(3).await + BLOCK_SECONDS);
    }

    #[tokio::test]
    async fn the_same_calls_give_the_same_hashes() {
        let mut tips = Vec::new();
        for _ in 0..2 {
            let (anvil, token) = node_with_token().await;
            let tx = anvil.transfer(token, anvil.owner(), receiver(1), USDT).await;
            anvil.mine(3).await;
            let again = anvil.again(tx).await;
            anvil.reorg(2, vec![(again, 1)]).await;
            tips.push(anvil.block_hash(anvil.height().await).await);
        }
        assert_eq!(tips[0], tips[1]);
    }

    #[tokio::test]
    async fn a_snapshot_brings_the_chain_back() {
        let (anvil, token) = node_with_token().await;
        let tip = anvil.height().await;
        let hash = anvil.block_hash(tip).await;
        let snapshot = anvil.snapshot().await;
        anvil.transfer(token, anvil.owner(), receiver(1), USDT).await;
        anvil.mine(2).await;
        anvil.revert(snapshot).await;
        assert_eq!((anvil.height().await, anvil.block_hash(tip).await), (tip, hash));
        assert_eq!(anvil.balance_of(token, receiver(1)).await, 0);
    }

    #[tokio::test]
    async fn a_dropped_transaction_is_never_mined() {
        let (anvil, token) = node_with_token().await;
        let tx = anvil.transfer(token, anvil.owner(), receiver(1), USDT).await;
        anvil.drop_transaction(tx).await;
        anvil.mine(1).await;
        assert_eq!(anvil.receipt(tx).await, None);
        assert_eq!(anvil.balance_of(token, receiver(1)).await, 0);
    }

    #[tokio::test]
    async fn a_subscriber_hears_of_blocks_mined_by_automine_and_by_interval() {
        let (anvil, token) = node_with_token().await;
        let socket = ProviderBuilder::default().connect_ws(WsConnect::new(anvil.ws_url())).await;
        let socket: RootProvider = socket.expect("a WebSocket");
        let mut blocks = socket.subscribe_blocks().await.expect("eth_subscribe");
        anvil.set_automine(true).await;
        anvil.set_fee(token, 1, 1).await;
        let heard = blocks.recv().await.expect("the block of the fee");
        assert_eq!(heard.number, anvil.height().await);
        anvil.set_automine(false).await;
        anvil.set_interval(1).await;
        assert_eq!(blocks.recv().await.expect("a block in time").number, heard.number + 1);
        anvil.set_interval(0).await;
    }

    #[tokio::test]
    async fn a_dropped_node_is_gone() {
        let anvil = Anvil::start(Options::default()).await;
        let address = anvil.http_url().replace("http://", "");
        assert!(tokio::net::TcpStream::connect(&address).await.is_ok());
        drop(anvil);
        assert!(tokio::net::TcpStream::connect(&address).await.is_err());
    }

    #[tokio::test]
    #[should_panic(expected = "ended before it listened: no such node")]
    async fn a_node_that_does_not_start_says_why() {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let program = scratch.path().join("anvil");
        // By another process: a file that is open for writing in any child of this one, of another
        // test's, cannot be run.
        let write = "printf '#!/bin/sh\\necho no such node\\n' >\"$1\" && chmod 755 \"$1\"";
        let written = Command::new("sh").args(["-c", write, "sh"]).arg(&program).status();
        assert!(written.expect("a shell").success());
        Process::start(&program, &Options::default()).await;
    }

    #[test]
    fn the_committed_contracts_are_what_the_sources_compile_to() {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("contracts").join("compile.mjs");
        let run = Command::new("node").arg(script).arg("--check").output();
        let run = run.expect("node is installed, see tests/run");
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    }
}
