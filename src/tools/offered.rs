//! Which tools a mode offers to the model (spec 05 §1.1, spec 03 §5.2): its groups in order, then those of every mode,
//! less what settings, surroundings or this build do not have.

use super::find;
use crate::protocol::tool::ToolName;
use crate::settings::Settings;
use crate::settings::modes::{Mode, tools_of};

/// The tools to describe for `mode`, in order.
pub fn offered(mode: &Mode, settings: &Settings) -> Vec<ToolName> {
    let mut tools = tools_of(&mode.groups);
    tools.retain(|tool| {
        find(*tool).is_some()
            && match tool {
                ToolName::ApplyDiff => settings.diff_enabled,
                ToolName::UpdateTodoList => settings.todo_list_enabled,
                ToolName::GenerateImage => settings.experiment("imageGeneration"),
                ToolName::RunSlashCommand => settings.experiment("runSlashCommand"),
                ToolName::EditFile => settings.experiment("morphFastApply"),
                _ => true,
            }
    });
    tools
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::modes;

    #[test]
    fn settings_take_tools_away() {
        let code = modes::find("code", &[]).unwrap();
        let offered = |settings: &Settings| offered(&code, settings);
        let all = offered(&Settings::default());
        let without_diff = offered(&Settings { diff_enabled: false, ..Settings::default() });
        assert!(!without_diff.contains(&ToolName::ApplyDiff));
        assert!(all.iter().all(|tool| find(*tool).is_some()));
        let ask = modes::find("ask", &[]).unwrap();
        assert!(!super::offered(&ask, &Settings::default()).contains(&ToolName::ExecuteCommand));
    }
}
