//! Commands and terminals (spec 06 §D): process groups, merged output, limits, exit codes, cancel kills the whole tree.

/// The terminals of an engine, shared by its tasks. (Filled in with the terminal room.)
pub struct Terminals {}
