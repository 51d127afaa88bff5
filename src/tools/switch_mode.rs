//! `switch_mode`: goes on in another mode (spec 05 §5.19).

use async_trait::async_trait;
use serde_json::json;

use super::context::{ToolContext, ToolError};
use super::{Tool, frame, response};
use crate::prompt::text::context;
use crate::protocol::message::Ask;
use crate::protocol::tool::{ParamName, ToolCall, ToolName};
use crate::settings::modes;

/// The tool.
pub struct SwitchMode;

#[async_trait]
impl Tool for SwitchMode {
    fn name(&self) -> ToolName {
        ToolName::SwitchMode
    }

    fn repeatable(&self) -> bool {
        true
    }

    async fn run(&self, call: &ToolCall, context: &dyn ToolContext) -> Result<(), ToolError> {
        match switch(call, context).await {
            Err(ToolError::Aborted) => Err(ToolError::Aborted),
            Err(error) => {
                context.handle_error("switching mode", &error).await;
                Ok(())
            }
            done => done,
        }
    }
}

async fn switch(call: &ToolCall, context: &dyn ToolContext) -> Result<(), ToolError> {
    let texts = context.texts();
    let payload = |slug: &str, reason: Option<&str>| {
        let mut payload = json!({"tool": "switchMode", "mode": slug});
        if let Some(reason) = reason {
            payload["reason"] = reason.into();
        }
        payload.to_string()
    };
    if call.partial {
        let payload = payload(frame::begun(call, ParamName::ModeSlug), Some(frame::begun(call, ParamName::Reason)));
        return frame::show_partial(context, Ask::Tool, payload).await;
    }
    let slug = call.params.get(ParamName::ModeSlug).unwrap_or_default();
    let reason = call.params.get(ParamName::Reason);
    if slug.is_empty() {
        return frame::missing(context, call, "mode_slug").await;
    }
    context.reset_mistakes();
    let Some(target) = modes::find(slug, &context.settings().custom_modes) else {
        context.record_error(call.name, None);
        let text = texts.render("switch_mode.invalid", context! { slug });
        context.push_result(response::tool_error(texts, &text).into());
        return Ok(());
    };
    let current = context.mode();
    if current == slug {
        context.record_error(call.name, None);
        context.push_result(texts.render("switch_mode.already", context! { name => target.name }).into());
        return Ok(());
    }
    if !context.ask_approval(Ask::Tool, payload(slug, reason), None, false).await? {
        return Ok(());
    }
    context.switch_mode(slug).await?;
    // Only built-in modes are looked up here (kept from the reference).
    let from = modes::find(&current, &[]).map_or(current, |mode| mode.name);
    let reason = reason.filter(|reason| !reason.is_empty());
    context.push_result(texts.render("switch_mode.done", context! { from, to => target.name, reason }).into());
    Ok(())
}
