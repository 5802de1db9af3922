//! The TRON source against scripted nodes, honest and not.
//!
//! In: a scripted chain and faults. Out: what a follower of the cursor has recorded, held against
//! the script. Never: a stand-in for the source; it speaks HTTP to a real port.
//! Why: a watcher is only as good as what it does on the day its node lies.

mod accounts;
mod explain;
mod index;
mod lies;
mod limits;
mod near;
mod notices;
mod others;
mod rig;
mod startup;
mod storm;
mod windows;
