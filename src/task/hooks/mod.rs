//! Hooks of the user at certain points of a task: what they are told, what they answer, and what becomes of it
//! (`docs/hooks.md`).
//!
//! [`answer`], [`verdict`] and [`approval`] are pure decisions; [`run`] starts a program or asks the host; [`workspace`] reads
//! what a trusted workspace brings; [`fire`] and [`call`] are the points of the loop. A hook that fails stops nobody, unless
//! it says so itself. Nothing here looks at the model's conversation but through the task.

mod answer;
mod approval;
mod call;
mod fire;
mod run;
mod verdict;
mod workspace;

pub(super) use approval::adjust;
pub use verdict::{Decision, NotedVerdict, Verdict};
pub(super) use workspace::WorkspaceHooks;
