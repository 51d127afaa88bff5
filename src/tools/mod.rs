//! The tools a model can call (spec 05, 06): one file a tool, listed once in [`list`].
//!
//! A tool sees a [`context::ToolContext`] and nothing of the engine. It asks, says and pushes results through it; the
//! agent loop decides what these mean.

pub mod context;
