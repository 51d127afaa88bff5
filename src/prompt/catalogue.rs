//! The tool catalogue of the system prompt (spec 03 §5): `# Tools`, then one description a tool. A tool without a layout
//! `layout.tool.<name>` is not described.

use serde::Serialize;

use super::system::DiffForm;
use super::text::{TextError, Texts};
use crate::protocol::tool::ToolName;

/// Describes `tools` in their order.
///
/// # Errors
/// A text or layout that a pack has made invalid, by id.
pub(super) fn describe<S: Serialize>(
    texts: &Texts,
    tools: &[ToolName],
    diff: Option<DiffForm>,
    variables: &S,
) -> Result<String, TextError> {
    let mut parts = Vec::with_capacity(tools.len());
    let form =
        |tool: &ToolName| if (*tool, diff) == (ToolName::ApplyDiff, Some(DiffForm::Multi)) { ".multi" } else { "" };
    let ids = tools.iter().map(|tool| format!("layout.tool.{tool}{}", form(tool)));
    for id in ids.filter(|id| texts.has(id)) {
        parts.push(texts.layout(&id, variables)?);
    }
    Ok(format!("# Tools\n\n{}", parts.join("\n\n")))
}
