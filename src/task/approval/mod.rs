//! Approvals: which questions of the loop are answered without the user (spec 02 §11).
//!
//! Pure decisions: they take the question, the lists and the settings and return a verdict. Asking, waiting and
//! answering belong to the loop.

pub mod command;
pub mod limits;
pub mod policy;
