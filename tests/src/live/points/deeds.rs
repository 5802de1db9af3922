//! What is done in a history, and which deed meets which point.
//!
//! In: the names of the points, dice. Out: deeds in an order that the dice choose.
//! Never: a deed that depends on a clock or on when it was seen; two worlds do the same.
//! Why: a kill matters by what was under way.

use lab::tron::Fault;

use super::super::daemon::Daemon;
use super::super::dice::Dice;
use super::world::World;

/// A point at which one process is killed, and what it is doing then.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) point: &'static str,
    pub(super) deed: Deed,
}

/// One thing that happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deed {
    /// `bursar migrate`
    Migrate,
    /// The first start of the daemon.
    Begin,
    /// `bursar order create`
    Create { id: String, chain: &'static str },
    /// `bursar order cancel`
    Cancel { id: String },
    /// `bursar address import`
    Import { from: u64 },
    /// `bursar rescan`
    Rescan,
    /// `bursar chain pause`, and later the rest.
    Pause,
    /// `bursar chain resume`
    Resume,
    /// A block of Ethereum with these payments, in cents.
    Pay { orders: Vec<(String, u64)> },
    /// The last block of Ethereum is replaced, and what it held is mined again or not.
    Reorg { again: bool },
    /// A block of TRON with this payment, and blocks above it until it is final.
    PayOnTron { order: String, cents: u64 },
    /// The same, and an index that shows the payment only afterwards.
    PayLate { order: String },
    /// `bursar case resolve`, of an order that is paid twice.
    Resolve { id: String },
    /// `bursar refund sent`, of what was resolved so and is paid back.
    Sent { id: String },
    /// `bursar refund check`, after that.
    Check { id: String },
    /// An address is emptied; the process ends when it is seen, or when it is final.
    Sweep { id: String, when_final: bool },
}

/// Points that a process meets before it has caught up.
pub(super) fn is_met_at_the_start(point: &str) -> bool {
    ["run.", "behind.", "reread."].iter().any(|part| point.starts_with(part))
}

/// What is met once in the life of the books, in its order.
const FIRST: [(&str, Deed); 6] = [
    ("migrate.begun", Deed::Migrate),
    ("migrate.listed", Deed::Migrate),
    ("migrate.made", Deed::Migrate),
    ("migrate.", Deed::Migrate),
    ("pins.", Deed::Begin),
    ("behind.begun", Deed::Begin),
];

/// One deed for each point, those that must come first before the others.
pub(super) fn history(points: &[&'static str], dice: &mut Dice) -> Vec<Plan> {
    let mut made = Made::default();
    let mut rest: Vec<&'static str> = points.to_vec();
    let mut plans = Vec::new();
    for (first, deed) in FIRST {
        let now: Vec<_> = rest.extract_if(.., |point| point.starts_with(first)).collect();
        plans.extend(now.into_iter().map(|point| Plan { point, deed: deed.clone() }));
    }
    while !rest.is_empty() {
        let point = rest.swap_remove(dice.below(rest.len()));
        plans.push(Plan { point, deed: made.deed(point, dice) });
    }
    plans
}

/// What was done so far.
#[derive(Default)]
struct Made {
    orders: Vec<(String, &'static str)>,
    imported: u64,
    count: usize,
}

impl Made {
    fn deed(&mut self, point: &'static str, dice: &mut Dice) -> Deed {
        let (room, rest) = point.split_once('.').expect("a name has a room");
        match room {
            "create" | "index" | "high_water" | "address" => self.create("ethereum"),
            "pool" | "given" => self.create("tron"),
            "cancel" => {
                let Deed::Create { id, .. } = self.create("ethereum") else { unreachable!() };
                self.orders.pop();
                Deed::Cancel { id }
            }
            "import" => {
                self.imported += 3;
                Deed::Import { from: self.imported }
            }
            "rescan" => Deed::Rescan,
            "pause" => Deed::Pause,
            "resume" => Deed::Resume,
            "run" | "behind" | "reread" => self.traffic(dice),
            "commit" if rest == "created" => self.create("ethereum"),
            "resolve" | "refund" | "outflow" => self.decide(point, dice),
            "commit" if matches!(rest, "outflows" | "cases") => self.decide(point, dice),
            "watch" if rest == "recorded_late" => {
                let order = self.order_of("tron", dice);
                Deed::PayLate { order }
            }
            _ => self.traffic(dice),
        }
    }

    fn create(&mut self, chain: &'static str) -> Deed {
        self.count += 1;
        let id = format!("O-{}", self.count);
        self.orders.push((id.clone(), chain));
        Deed::Create { id, chain }
    }

    /// A deed with an order of its own, which nobody pays again.
    fn decide(&mut self, point: &str, dice: &mut Dice) -> Deed {
        self.count += 1;
        let id = format!("D-{}", self.count);
        match point {
            "resolve.read" => Deed::Resolve { id },
            "refund.found" => Deed::Sent { id },
            "resolve.recorded" | "commit.cases" if dice.below(2) == 0 => Deed::Resolve { id },
            "resolve.recorded" | "commit.cases" => Deed::Sent { id },
            "refund.asked" | "refund.judged" => Deed::Check { id },
            _ => Deed::Sweep { id, when_final: dice.below(2) == 0 },
        }
    }

    /// One of the newest orders of a chain.
    fn order_of(&self, chain: &str, dice: &mut Dice) -> String {
        let of_chain = self.orders.iter().filter(|(_, of)| *of == chain);
        let ids: Vec<&String> = of_chain.rev().take(4).map(|(id, _)| id).collect();
        // Those of the first days are made before anything is.
        if ids.is_empty() { format!("FIRST-{chain}") } else { ids[dice.below(ids.len())].clone() }
    }

    fn traffic(&mut self, dice: &mut Dice) -> Deed {
        let cents = [10_000, 5_000, 5_000, 10_000, 13_000, 5];
        let amount = |dice: &mut Dice| cents[dice.below(cents.len())];
        match dice.below(8) {
            0 | 1 => {
                let order = self.order_of("tron", dice);
                Deed::PayOnTron { order, cents: amount(dice) }
            }
            2 => Deed::Reorg { again: dice.below(2) == 0 },
            _ => {
                let count = 1 + dice.below(3);
                let pay = |_| (self.order_of("ethereum", dice), amount(dice));
                Deed::Pay { orders: (0..count).map(pay).collect() }
            }
        }
    }
}

impl Deed {
    /// Whether it comes before there are books to look at.
    pub(super) const fn is_first(&self) -> bool {
        matches!(self, Self::Migrate | Self::Begin)
    }

    /// What is typed for it; nothing where it happens on a chain.
    pub(super) fn command(&self, world: &World) -> Option<Vec<String>> {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect();
        Some(match self {
            Self::Create { id, chain } => words(&format!(
                "order create --id {id} --customer {id} --chain {chain} --amount 100"
            )),
            Self::Cancel { id } => words(&format!("order cancel {id}")),
            Self::Import { .. } => words("address import list"),
            Self::Rescan => {
                let to = world.ethereum.tip().height;
                let from = to.saturating_sub(6);
                words(&format!("rescan --chain ethereum --from {from} --to {to}"))
            }
            Self::Pause => words("chain pause tron --by maria --why so"),
            Self::Resume => words("chain resume tron --by maria --why so"),
            Self::Resolve { .. } => {
                words(&format!("case resolve {} dismiss --by ann --why so", world.decided.case))
            }
            Self::Sent { .. } => words(&world.decided.sent()),
            Self::Check { .. } => words("refund check"),
            _ => return None,
        })
    }

    /// Whether a person types it.
    pub(super) const fn is_typed(&self) -> bool {
        !matches!(
            self,
            Self::Migrate
                | Self::Begin
                | Self::Pay { .. }
                | Self::Reorg { .. }
                | Self::PayOnTron { .. }
                | Self::PayLate { .. }
                | Self::Sweep { .. }
        )
    }

    /// What the daemon must have recorded before.
    pub(super) async fn begin(&self, world: &mut World, daemon: &mut Daemon) {
        match self {
            Self::Resolve { id } => world.pay_twice(id, daemon).await,
            Self::Sent { id } | Self::Check { id } => world.refund(id, daemon).await,
            Self::Sweep { id, .. } => world.pay_once(id, daemon).await,
            _ => {}
        }
    }

    /// What must be there before the command is typed.
    pub(super) async fn prepare(&self, world: &mut World) {
        match self {
            Self::Cancel { id } => {
                world.create(id, "ethereum").await;
            }
            Self::Import { from } => world.list(*from, 3),
            Self::Resume => {
                world.typed("chain pause tron --by maria --why so").await;
            }
            Self::Check { .. } => world.typed(&world.decided.sent()).await,
            _ => {}
        }
    }

    /// Does it while the daemon runs, which is to end at the point, if there is one.
    pub(super) async fn done(&self, world: &mut World, daemon: &mut Daemon, point: Option<&str>) {
        // What an index showed before it shows again, so that its point is met at any time.
        let late = match self {
            Self::PayLate { .. } => true,
            Self::Sweep { when_final, .. } => *when_final,
            _ => false,
        };
        if let Some(point) = point.filter(|_| !late) {
            world.arm(point);
        }
        self.prepare(world).await;
        match self {
            Self::Migrate | Self::Begin => {}
            Self::Pay { orders } => {
                let mut payments = Vec::new();
                for (order, cents) in orders {
                    payments.push(world.payment(order, *cents).await);
                }
                world.mine(payments);
            }
            Self::Reorg { again } => world.reorg(*again),
            Self::PayOnTron { order, cents } => {
                world.mine_on_tron(order, *cents).await;
                world.solidify();
            }
            Self::PayLate { order } => {
                let tx = world.mine_on_tron(order, 10_000).await;
                let lost = world.tron_node.fault(Fault::LostRows { tx });
                world.solidify();
                daemon.recorded_on("tron", world.tron.solid().height).await;
                if let Some(point) = point {
                    world.arm(point);
                }
                world.tron_node.heal_one(lost);
            }
            Self::Sweep { id, when_final } => {
                let height = world.sweep(id).await;
                if *when_final {
                    daemon.recorded_on("ethereum", height).await;
                    if let Some(point) = point {
                        world.arm(point);
                    }
                }
                world.bury();
            }
            _ => self.done_again(world).await,
        }
    }

    /// Types it, where it may have been done already.
    pub(super) async fn done_again(&self, world: &mut World) {
        match self {
            Self::Create { id, chain } => world.create(id, chain).await,
            Self::Pause => {
                world.typed("chain pause tron --by maria --why so").await;
                world.typed("chain resume tron --by maria --why so").await;
            }
            Self::Sent { .. } => {
                world.typed(&world.decided.sent()).await;
                // Asked about by the daemon, it would be verified at another moment each time.
                world.typed("refund check").await;
            }
            _ => {
                let command = self.command(world).expect("a command");
                world.typed(&command.join(" ")).await;
            }
        }
    }
}
