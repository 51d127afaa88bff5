//! `kill -9` at random points, of the engine and of the host: nothing is lost, nothing comes twice, nothing hangs, no file is
//! half written, and in the end everything is as if nothing had happened.
//!
//! `LAPCE_AI_KILL_ROUNDS` sets the number of rounds (200), `LAPCE_AI_KILL_SEED` repeats the choices of a failed run.

#[path = "kill/engine.rs"]
mod engine;
#[path = "kill/follower.rs"]
mod follower;
#[path = "kill/host.rs"]
mod host;
#[path = "kill/resume.rs"]
mod resume;
#[path = "kill/scene.rs"]
mod scene;
#[path = "kill/workload.rs"]
mod workload;

use std::time::Duration;

/// No call may take longer, beyond the time it was given.
const HANG: Duration = Duration::from_secs(1);
/// Sessions at work at any time.
const ABREAST: usize = 3;
