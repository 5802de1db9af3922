//! Places at which a test stops the process, to kill it there, or tells it to stop.
//!
//! In: `BURSAR_POINT`, the path of a file that holds the name of a place. Out: where the process
//! comes to it, it says so in its log and does nothing more; with `SIGTERM` behind the name it
//! sends that to itself, once, and goes on when the file is gone.
//! Never: a part of what is released: without the feature `points`, and in an optimised program
//! even with it, a place is nothing at all.
//! Why: a process may die between any two instructions, and the few between two things that last
//! are those that a random moment rarely meets.

#[cfg(all(feature = "points", debug_assertions))]
use std::sync::atomic::{AtomicBool, Ordering};

/// Names a place between two things that last.
#[macro_export]
macro_rules! point {
    ($name:literal) => {
        $crate::point::reach($name)
    };
}

/// Nothing.
#[cfg(not(all(feature = "points", debug_assertions)))]
#[inline(always)]
pub const fn reach(_: &'static str) {}

/// Whether this process has told itself to stop.
#[cfg(all(feature = "points", debug_assertions))]
static TOLD: AtomicBool = AtomicBool::new(false);

/// Stops for ever where a test waits for the process here, or tells it to stop. The file is read
/// each time, so that a process that runs can be told where it is to end.
#[cfg(all(feature = "points", debug_assertions))]
pub fn reach(name: &'static str) {
    let Some(file) = std::env::var_os("BURSAR_POINT") else { return };
    let Ok(armed) = std::fs::read_to_string(&file) else { return };
    if armed.trim() == name {
        tracing::error!(point = name, "stopped at a point");
        loop {
            std::thread::park();
        }
    }
    if armed.trim().strip_suffix(" SIGTERM") == Some(name) && !TOLD.swap(true, Ordering::AcqRel) {
        let process = std::process::id().to_string();
        let sent = std::process::Command::new("kill").args(["-TERM", &process]).status();
        tracing::info!(point = name, ?sent, "told to stop at a point");
        while std::path::Path::new(&file).exists() {
            std::thread::yield_now();
        }
    }
}
