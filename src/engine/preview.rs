//! `prompt.preview`: the system prompt that a task would begin with.

use serde_json::json;

use super::core::Core;
use super::prompt::StandardPrompt;
use super::router::{Outcome, no_mode, workspace_folder};
use crate::prompt::system;
use crate::protocol::event::RequestFailed;
use crate::protocol::failure::ErrorKind;
use crate::protocol::request::PromptPreview;
use crate::settings::modes;

/// Builds the prompt by the settings in force. A provider that cannot be made counts as one whose model takes no images.
pub fn preview(core: &Core, request: &PromptPreview) -> Outcome {
    let cwd = workspace_folder(&request.workspace, "prompt.preview")?;
    let settings = core.modes.of(Some(cwd)).join(core.settings.current());
    let mode = request.mode.as_deref().unwrap_or(&settings.mode);
    if modes::find(mode, &settings.custom_modes).is_none() {
        return Err(no_mode(mode, "prompt.preview.mode"));
    }
    let images = core.provider(&settings).is_ok_and(|provider| provider.model().info.supports_images == Some(true));
    let prompt = StandardPrompt { texts: core.texts_in(cwd), ..(*core.prompt).clone() };
    let preview =
        prompt.preview(cwd, &settings, mode, images).map_err(|error| RequestFailed::new(ErrorKind::Internal, error))?;
    let text = system::joined(&preview.sections);
    let shown = preview.sections.iter().filter(|(_, text)| !text.is_empty());
    let sections: Vec<_> = shown.map(|(part, text)| json!({"name": part.as_str(), "bytes": text.len()})).collect();
    let tools: Vec<_> = preview.tools.iter().map(|tool| tool.as_str()).collect();
    Ok(json!({
        "mode": preview.mode,
        "bytes": text.len(),
        "text": text,
        "sections": sections,
        "tools": tools,
    }))
}
