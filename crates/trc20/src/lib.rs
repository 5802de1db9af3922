//! A TRON node, read through reqwest, as [`payments::chain::Scan`].
//!
//! In: a full node's and a solidity node's HTTP API. Out: contiguous verified blocks.
//! Never: a credit on calldata. Why: the second half of the mission, the same line after `Scan`.
