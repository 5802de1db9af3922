//! The daemon and its commands.
