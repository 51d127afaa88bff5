//! The tool catalogue of the system prompt (spec 03 §5): `# Tools`, then one description a tool. A tool without a layout
//! `layout.tool.<name>` is not described.

use serde::Serialize;

use super::text::{TextError, Texts};
use crate::protocol::tool::ToolName;

/// Describes `tools` in their order.
///
/// # Errors
/// A text or layout that a pack has made invalid, by id.
pub(super) fn describe<S: Serialize>(texts: &Texts, tools: &[ToolName], variables: &S) -> Result<String, TextError> {
    let mut parts = Vec::with_capacity(tools.len());
    for id in tools.iter().map(|tool| format!("layout.tool.{tool}")).filter(|id| texts.has(id)) {
        parts.push(texts.layout(&id, variables)?);
    }
    Ok(format!("# Tools\n\n{}", parts.join("\n\n")))
}
