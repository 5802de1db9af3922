//! The EVM source against scripted nodes, honest and not.
//!
//! In: a scripted chain and faults. Out: what a follower of the cursor has recorded, held against
//! the script. Never: a stand-in for the source; it speaks HTTP and WebSocket to a real port.
//! Why: a watcher is only as good as what it does on the day its node lies.

mod answers;
mod doorbell;
mod doubles;
mod explain;
mod lies;
mod near;
mod notices;
mod others;
mod prove;
mod rig;
mod startup;
mod windows;
