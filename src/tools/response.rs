//! What the model reads after a tool call: layouts of spec 01 §9 around the sentences of the catalogue.

use crate::prompt::text::{Texts, context};
use crate::protocol::message::ToolResponse;

/// The user refused the operation.
pub fn denied(texts: &Texts) -> String {
    texts.get("resp.denied")
}

/// The user refused and said something.
pub fn denied_with_feedback(texts: &Texts, feedback: &str) -> String {
    tagged(&texts.get("resp.denied_with_feedback"), "feedback", feedback)
}

/// The user agreed and said something.
pub fn approved_with_feedback(texts: &Texts, feedback: &str) -> String {
    tagged(&texts.get("resp.approved_with_feedback"), "feedback", feedback)
}

/// A tool failed with `error`.
pub fn tool_error(texts: &Texts, error: &str) -> String {
    tagged(&texts.get("resp.tool_error"), "error", error)
}

/// The user's guidance after too many mistakes in a row.
pub fn too_many_mistakes(texts: &Texts, feedback: &str) -> String {
    tagged(&texts.get("resp.too_many_mistakes"), "feedback", feedback)
}

/// An assistant message had no tool call.
pub fn no_tools_used(texts: &Texts) -> String {
    layout(texts, "layout.resp.no_tools_used", context! { reminder => reminder(texts) })
}

/// The required parameter `param` is missing: the sentence and the reminder, not yet wrapped as a tool error.
pub fn missing_param(texts: &Texts, param: &str) -> String {
    format!("{}\n\n{}", texts.render("resp.missing_param", context! { param }), reminder(texts))
}

/// `.kilocodeignore` forbids `path`.
pub fn ignored_path(texts: &Texts, path: &str) -> String {
    texts.render("resp.ignored_path", context! { path })
}

/// A write without `line_count` that looks cut off (spec 01 §9). `diff` says whether `apply_diff` is on.
pub fn line_count_truncation(texts: &Texts, actual: usize, is_new: bool, diff: bool) -> String {
    let advice = layout(texts, "layout.resp.line_count_truncation", context! { actual, is_new, diff });
    format!("{}\n\n{}", advice.trim_end_matches('\n'), reminder(texts))
}

/// How tool calls are written.
pub fn reminder(texts: &Texts) -> String {
    layout(texts, "layout.resp.tool_format_reminder", ())
}

/// The arguments of an MCP tool are no JSON object.
pub fn invalid_mcp_json(texts: &Texts, server: &str, tool: &str) -> String {
    texts.render("resp.mcp.invalid_json", context! { server, tool })
}

/// The MCP server has no such tool; `available` names those it has.
pub fn unknown_mcp_tool(texts: &Texts, server: &str, tool: &str, available: &[String]) -> String {
    let sentence = texts.render("resp.mcp.unknown_tool", context! { server, tool });
    let label = texts.get("resp.mcp.available_tools");
    let advice = texts.get("resp.mcp.unknown_tool.advice");
    format!("{sentence}\n\n{label}: {}\n\n{advice}", names(texts, available))
}

/// No such MCP server; `available` names the connected ones.
pub fn unknown_mcp_server(texts: &Texts, server: &str, available: &[String]) -> String {
    texts.render("resp.mcp.unknown_server", context! { server, servers => names(texts, available) })
}

/// The user accepted a condensed conversation.
pub fn condense_accepted(texts: &Texts) -> String {
    let lead = texts.get("resp.condense_accepted");
    let instructions = texts.get("resp.condense_accepted.instructions");
    format!("{lead}\n<explicit_instructions type=\"condense_response\">{instructions}</explicit_instructions>")
}

/// A result with the user's images behind the text.
pub fn tool_result(text: String, images: &[String]) -> ToolResponse {
    ToolResponse::with_images(text, images)
}

/// `<lead>`, then `content` between tags on lines of their own.
pub fn tagged(lead: &str, tag: &str, content: &str) -> String {
    format!("{lead}\n<{tag}>\n{content}\n</{tag}>")
}

fn names(texts: &Texts, available: &[String]) -> String {
    if available.is_empty() { texts.get("resp.mcp.none") } else { available.join(", ") }
}

/// A layout; one that a text pack has broken is shown by its error instead of failing the task.
fn layout(texts: &Texts, id: &str, variables: impl serde::Serialize) -> String {
    texts.layout(id, variables).unwrap_or_else(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// parity 03 §19: lead, tag, content
    #[test]
    fn feedback_stands_between_tags() {
        let texts = Texts::builtin();
        assert!(tool_error(&texts, "x").ends_with(":\n<error>\nx\n</error>"));
        assert!(denied_with_feedback(&texts, "").ends_with("\n<feedback>\n\n</feedback>"));
    }

    /// parity 03 §19: results in their layouts around the sentences
    #[test]
    fn results_have_their_layouts() {
        let pack = "[[resp.denied]]\nNO\n[[resp.denied_with_feedback]]\nNOF\n[[resp.approved_with_feedback]]\nYESF\n\
            [[resp.too_many_mistakes]]\nMANY\n[[resp.missing_param]]\nMISSING '{{ param }}'\n\
            [[resp.condense_accepted]]\nSHORT\n[[resp.condense_accepted.instructions]]\nGO ON\n\
            [[resp.ignored_path]]\nIGNORED {{ path }}\n[[resp.mcp.none]]\nnone\n\
            [[resp.mcp.unknown_server]]\nSERVER {{ server }} OF {{ servers }}\n";
        let texts = Texts::builtin().with_pack(pack).expect("a pack");
        let reminder = reminder(&texts);
        let some = ["a".to_owned(), "b".to_owned()];
        for (shown, expected) in [
            (denied(&texts), "NO".to_owned()),
            (denied_with_feedback(&texts, "f"), "NOF\n<feedback>\nf\n</feedback>".into()),
            (approved_with_feedback(&texts, "f"), "YESF\n<feedback>\nf\n</feedback>".into()),
            (too_many_mistakes(&texts, "f"), "MANY\n<feedback>\nf\n</feedback>".into()),
            (missing_param(&texts, "path"), format!("MISSING 'path'\n\n{reminder}")),
            (
                condense_accepted(&texts),
                "SHORT\n<explicit_instructions type=\"condense_response\">GO ON</explicit_instructions>".into(),
            ),
            (ignored_path(&texts, "{{ x }}"), "IGNORED {{ x }}".into()),
            (unknown_mcp_server(&texts, "s", &some), "SERVER s OF a, b".into()),
            (unknown_mcp_server(&texts, "s", &[]), "SERVER s OF none".into()),
        ] {
            assert_eq!(shown, expected);
        }
        let none = no_tools_used(&texts);
        assert!(none.starts_with("[ERROR] ") && none.contains(&format!("\n\n{reminder}\n\n# Next Steps\n\n")));
        assert!(reminder.starts_with("# Reminder: Instructions for Tool Use\n\n") && reminder.contains("\n...\n</"));
        let images = ["data:image/png;base64,AA==".to_owned()];
        let ToolResponse::Blocks(blocks) = tool_result("t".into(), &images) else { panic!("no blocks") };
        let image = serde_json::json!({"type": "base64", "media_type": "image/png", "data": "AA=="});
        assert_eq!(serde_json::to_value(&blocks).expect("blocks")[1]["source"], image);
        assert_eq!(tool_result("t".into(), &[]), ToolResponse::Text("t".into()));
    }

    #[test]
    fn advice_is_numbered_without_gaps_before_the_reminder() {
        let texts = Texts::builtin();
        for (is_new, diff, last) in [(true, true, 3), (false, true, 4), (false, false, 3)] {
            let text = line_count_truncation(&texts, 7, is_new, diff);
            assert!(text.contains(&format!("\n{last}. ")), "{text}");
            assert!(!text.contains(&format!("\n{}. ", last + 1)), "{text}");
            assert!(text.contains("\n\n# Reminder: Instructions for Tool Use\n\n"), "{text}");
        }
    }
}
