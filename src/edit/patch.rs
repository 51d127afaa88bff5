//! Patches as people and models read them (spec 05 §1.12 prettyPatch).

use similar::TextDiff;

/// Unified diff with four lines of context and without file headers; empty when nothing differs.
pub fn pretty_patch(old: &str, new: &str) -> String {
    TextDiff::from_lines(old, new).unified_diff().context_radius(4).to_string()
}
