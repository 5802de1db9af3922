//! Account polling: headers and hints instead of blocks, and the same deposits in the end.

use lab::tron::Fault;
use payments::chain::{Cursor, connect};
use payments::time::Time;
use trc20::{Account, Error, Found, Start};

use super::rig::{
    BOUND, Follower, Seen, at, chain, config, grid, node, noise, ours, pay, seen, traffic,
};

/// A follower of accounts: what it records comes in scans, or late.
struct Polled {
    inner: Follower,
    accounts: Vec<Account>,
    late: usize,
}

impl Polled {
    async fn new(config: trc20::Config) -> Self {
        let account = |n| Account { address: ours(n), since: Time(0) };
        let inner = Follower::with(config).await;
        Self { inner, accounts: (1..10).map(account).collect(), late: 0 }
    }

    async fn step(&mut self) -> Result<usize, Error> {
        let source = &self.inner.source;
        let Found { scan, earlier } =
            source.poll_accounts(&self.inner.cursor, &self.accounts).await?;
        let joined = connect(&self.inner.cursor, &scan, BOUND).unwrap();
        self.inner.cursor.kept = joined.kept;
        self.inner.cursor.finalized = joined.finalized;
        let recorded = &mut self.inner.recorded;
        recorded.extend(scan.transfers.into_iter().map(|row| ((row.tx, row.n), row)));
        for row in earlier {
            self.inner.cursor.holds(row.block).unwrap();
            if recorded.insert((row.tx, row.n), row).is_none() {
                self.late += 1;
            }
        }
        Ok(joined.added.len())
    }

    async fn catch_up(&mut self) {
        while self.step().await.unwrap() > 0 {}
    }
}

/// The payments that are solidified.
fn solid(paid: &[Seen], height: u64) -> Vec<Seen> {
    paid.iter().filter(|row| row.0 <= height).copied().collect()
}

#[tokio::test]
async fn headers_and_hints_find_what_the_blocks_hold() {
    let chain = chain();
    let node = grid(&chain).await;
    let mut paid = traffic(&chain, 60);
    let mut polled = Polled::new(config(&[&node])).await;
    polled.catch_up().await;
    for _ in 0..5 {
        paid.extend(traffic(&chain, 13));
        polled.catch_up().await;
        let solidified = chain.solid().height;
        assert_eq!(polled.inner.height(), solidified, "nothing above is recorded");
        assert_eq!(polled.inner.cursor.finalized, Some(at(&chain, solidified)));
        assert_eq!(polled.inner.seen(), solid(&paid, solidified));
    }
    assert_eq!(polled.late, 0);
    // Not one block was read but those that pay us.
    let asked = node.requests();
    let blocks = asked.count_under("/wallet/getblockby");
    assert_eq!(blocks, u64::try_from(polled.inner.seen().len()).unwrap());
    println!("{} requests for {} blocks and 9 accounts", asked.total(), chain.tip().height);
}

#[tokio::test]
async fn what_the_index_shows_late_comes_as_earlier() {
    let chain = chain();
    let node = grid(&chain).await;
    chain.mine(vec![noise(1), pay(1, 5)]);
    let lost = node.fault(Fault::LostRows { tx: chain.transactions(1)[1] });
    chain.mine_empty(40);
    let mut polled = Polled::new(config(&[&node])).await;
    polled.catch_up().await;
    assert_eq!(polled.inner.seen(), []);
    // The blocks behind say what the index lost.
    let caught = polled.inner.source.rescan(1, 5, &polled.inner.watch).await.unwrap();
    assert_eq!(caught.transfers.len(), 1);
    node.heal_one(lost);
    polled.catch_up().await;
    assert_eq!((polled.inner.seen(), polled.late), (vec![seen(1, 1, 5)], 1));
    assert_eq!(polled.inner.recorded.values().next(), caught.transfers.first());
    // And it is not asked about again.
    node.forget_requests();
    polled.catch_up().await;
    assert_eq!(node.requests().total(), 2 + 9);
}

/// Blocks that were recorded above the solidified one are replaced while nobody looks.
#[tokio::test]
async fn it_goes_on_where_a_block_scan_left_off() {
    let chain = chain();
    let node = grid(&chain).await;
    let mut paid = traffic(&chain, 60);
    let mut blocks = Follower::new(&[&node]).await;
    blocks.catch_up().await;
    chain.reorg(7, vec![vec![pay(8, 1)], vec![], vec![pay(9, 2)]]);
    paid.retain(|row| row.0 <= 53);
    paid.extend([seen(54, 8, 1), seen(56, 9, 2)]);
    chain.mine_empty(40);
    let mut polled = Polled::new(config(&[&node])).await;
    polled.inner.cursor = blocks.cursor.clone();
    polled.catch_up().await;
    assert_eq!(polled.inner.height(), chain.solid().height);
    assert_eq!(polled.inner.seen(), paid);
}

/// A recorded branch was longer than what is solidified of the one that replaced it.
#[tokio::test]
async fn a_longer_branch_that_lost_is_left_at_once() {
    let chain = chain();
    let node = grid(&chain).await;
    let mut paid = traffic(&chain, 60);
    let mut blocks = Follower::new(&[&node]).await;
    blocks.catch_up().await;
    chain.reorg(16, vec![vec![pay(8, 1)]]);
    paid.retain(|row| row.0 <= 44);
    paid.push(seen(45, 8, 1));
    chain.mine_empty(20);
    assert!(chain.solid().height < blocks.height());
    let mut polled = Polled::new(config(&[&node])).await;
    polled.inner.cursor = blocks.cursor.clone();
    polled.catch_up().await;
    assert_eq!(polled.inner.height(), chain.solid().height);
    assert_eq!(polled.inner.seen(), paid);
    assert_eq!(polled.inner.source.health()[0].failed, 0, "the node said nothing wrong");
}

#[tokio::test]
async fn it_needs_an_index_and_begins_anywhere() {
    let chain = chain();
    let (plain, grid) = (node(&chain).await, grid(&chain).await);
    traffic(&chain, 60);
    let mut polled = Polled::new(config(&[&plain])).await;
    let error = polled.step().await.unwrap_err();
    assert!(matches!(error, Error::GaveUp { .. }), "{error}");
    let start = trc20::Config { start: Start::Finalized, ..config(&[&grid]) };
    let mut polled = Polled::new(start).await;
    assert_eq!(polled.step().await.unwrap(), 1);
    assert_eq!(polled.inner.height(), chain.solid().height);
    let fresh = Cursor::new(polled.inner.cursor.chain.clone());
    assert_eq!(polled.inner.cursor.chain, fresh.chain);
}
