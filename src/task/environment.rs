//! Environment details: the last block of every user message (spec 02 §10).

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use super::instance::Task;
use crate::ecma;
use crate::prompt::text::Texts;
use crate::protocol::message::TodoItem;
use crate::settings::{Settings, modes};
use crate::terminal::{Captured, Limits, compress_captured};
use crate::tools::list_files;
use crate::workspace::listing;

/// How long busy terminals may keep the request waiting.
const COOL_LIMIT: Duration = Duration::from_millis(5000);
/// Pause after an edit while commands run, so that watchers among them can react.
const EDIT_PAUSE: Duration = Duration::from_millis(300);

/// The block for the next request; `files` adds the listing of the workspace.
pub(super) async fn details(task: &Arc<Task>, files: bool) -> String {
    let settings = task.settings();
    let texts = task.services.surroundings.texts.clone();
    let mut out = String::new();
    editors(task, &settings, &mut out).await;
    terminals(task, &settings, &texts, &mut out).await;
    time(task, &texts, &mut out);
    let cost = {
        let usage = super::usage::task_usage(&task.state().ui);
        usage.total_cost
    };
    let _ = write!(out, "\n\n# Current Cost\n${}", ecma_fixed(cost));
    mode(task, &settings, &mut out);
    if files {
        workspace_files(task, &settings, &texts, &mut out).await;
    }
    let reminder = match settings.todo_list_enabled {
        true => reminder(task.state().todos.as_deref().unwrap_or_default(), &texts),
        false => String::new(),
    };
    format!("<environment_details>\n{}\n{reminder}\n</environment_details>", ecma::trim(&out))
}

/// Visible editors and open tabs, as the host tells.
async fn editors(task: &Task, settings: &Settings, out: &mut String) {
    let host = &task.services.host;
    let answer = match host.offers("tabs.get") {
        true => host.request("tabs.get", serde_json::json!({})).await.unwrap_or_default(),
        false => serde_json::Value::Null,
    };
    let paths = |key: &str, limit: usize| -> String {
        let all = answer[key].as_array().map(Vec::as_slice).unwrap_or_default();
        let shown: Vec<String> = all
            .iter()
            .filter_map(|path| path.as_str())
            .map(|path| relative(task, path))
            .take(limit)
            .filter(|path| task.access.accessible(path))
            .collect();
        shown.join(",")
    };
    let _ = write!(out, "\n\n# VSCode Visible Files\n{}", paths("visible", settings.max_workspace_files));
    let _ = write!(out, "\n\n# VSCode Open Tabs\n{}", paths("open", settings.max_open_tabs_context));
}

/// The path under the task's directory, with forward slashes.
fn relative(task: &Task, path: &str) -> String {
    let relative = std::path::Path::new(path).strip_prefix(&task.cwd).map(|rest| rest.to_string_lossy().into_owned());
    relative.unwrap_or_else(|_| path.to_owned()).replace('\\', "/")
}

/// Running commands, changed files, and what finished commands printed.
async fn terminals(task: &Task, settings: &Settings, texts: &Texts, out: &mut String) {
    let terminals = &task.services.surroundings.terminals;
    let edited = std::mem::take(&mut task.state().edited);
    if !terminals.busy(&task.id).is_empty() {
        if edited {
            let _ = task.unless_aborted(tokio::time::sleep(EDIT_PAUSE)).await;
        }
        let _ = task.unless_aborted(terminals.cool(&task.id, COOL_LIMIT)).await;
    }
    let modified = std::mem::take(&mut task.state().recently_modified);
    if !modified.is_empty() {
        let _ = write!(out, "\n\n# Recently Modified Files\n{}", texts.get("env.recent"));
        modified.iter().for_each(|path| {
            let _ = write!(out, "\n{path}");
        });
    }
    let busy = terminals.busy(&task.id);
    if !busy.is_empty() {
        out.push_str("\n\n# Actively Running Terminals");
        for terminal in busy {
            let _ = write!(
                out,
                "\n## Terminal {} (Active)\n### Working Directory: `{}`\n### Original command: `{}`",
                terminal.terminal,
                terminal.cwd.display(),
                terminal.process.command()
            );
            let fresh = compress(terminal.process.take_unretrieved(), settings);
            if !fresh.is_empty() {
                let _ = write!(out, "\n### New Output\n{fresh}");
            }
        }
    }
    let finished = terminals.take_finished(&task.id);
    if !finished.is_empty() {
        out.push_str("\n\n# Inactive Terminals with Completed Process Output");
        for terminal in finished {
            let _ = write!(
                out,
                "\n## Terminal {} (Inactive)\n### Working Directory: `{}`",
                terminal.terminal,
                terminal.cwd.display()
            );
            for unread in terminal.unread {
                let text = compress(unread.output, settings);
                let _ = write!(out, "\n### New Output\nCommand: `{}`\n{text}", unread.command);
            }
        }
    }
}

/// Command output as the model sees it.
fn compress(output: Captured, settings: &Settings) -> String {
    compress_captured(
        &output,
        Limits {
            lines: settings.terminal_output_line_limit,
            characters: settings.terminal_output_character_limit,
            progress_bars: settings.terminal_compress_progress_bar,
        },
    )
}

fn time(task: &Task, texts: &Texts, out: &mut String) {
    let surroundings = &task.services.surroundings;
    let (zone, offset) = &surroundings.time_zone;
    let sign = if *offset < 0 { '-' } else { '+' };
    let (hours, minutes) = (offset.abs() / 60, offset.abs() % 60);
    let now = iso_time((surroundings.now_ms)());
    let _ = write!(
        out,
        "\n\n# Current Time\n{} {now}\n{} {zone}, UTC{sign}{hours}:{minutes:02}",
        texts.get("env.time"),
        texts.get("env.timezone")
    );
}

/// ISO 8601 in UTC with milliseconds.
fn iso_time(ms: i64) -> String {
    let (days, rest) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    // Civil date from days since 1970 (proleptic Gregorian calendar), counted in 400-year eras from March.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (seconds, millis) = (rest / 1000, rest % 1000);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{millis:03}Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

fn mode(task: &Task, settings: &Settings, out: &mut String) {
    let known = modes::find(&settings.mode, &settings.custom_modes).or_else(|| modes::builtin().into_iter().next());
    let model = (task.services.surroundings.providers)(settings).map(|provider| provider.model().id);
    let Some(mode) = known else { return };
    let _ = write!(
        out,
        "\n\n# Current Mode\n<slug>{}</slug>\n<name>{}</name>\n<model>{}</model>\n",
        mode.slug,
        mode.name,
        model.unwrap_or_default()
    );
}

async fn workspace_files(task: &Arc<Task>, settings: &Settings, texts: &Texts, out: &mut String) {
    let cwd = task.cwd.to_string_lossy().replace('\\', "/");
    let _ = write!(out, "\n\n# Current Workspace Directory ({cwd}) Files\n");
    if task.cwd == task.services.surroundings.home.join("Desktop") {
        out.push_str(&texts.get("env.desktop"));
    } else if settings.max_workspace_files == 0 {
        out.push_str(&texts.get("env.files_disabled"));
    } else {
        let (folder, home, limit) =
            (task.cwd.clone(), task.services.surroundings.home.clone(), settings.max_workspace_files);
        let listed = tokio::task::spawn_blocking(move || listing::list(&folder, &home, true, limit)).await;
        // A listing that could not be finished tells nothing; the next request has none anyway.
        let Ok(listed) = listed else { return };
        let lines =
            listing::lines(&task.cwd, &listed.paths, Some(&task.access), settings.show_roo_ignored_files, false);
        out.push_str(&list_files::format(texts, &lines, listed.limit_reached));
    }
}

/// The todo list as a reminder.
pub fn reminder(todos: &[TodoItem], texts: &Texts) -> String {
    if todos.is_empty() {
        return texts.get("env.no_todo");
    }
    let rows = todos.iter().enumerate().map(|(index, todo)| {
        let content = todo.content.replace('\\', "\\\\").replace('|', "\\|");
        let status = match todo.status.as_str() {
            "completed" => "Completed",
            "in_progress" => "In Progress",
            _ => "Pending",
        };
        format!("| {} | {content} | {status} |", index + 1)
    });
    let head = ["====", "", "REMINDERS", ""].map(str::to_owned);
    let mut lines: Vec<String> = head.to_vec();
    lines.extend([texts.get("env.todo_intro"), String::new()]);
    lines.extend(["| # | Content | Status |".to_owned(), "|---|---------|--------|".to_owned()]);
    lines.extend(rows);
    lines.extend([String::new(), String::new(), texts.get("env.todo_outro"), String::new()]);
    lines.join("\n")
}

/// `toFixed(2)`.
fn ecma_fixed(value: f64) -> String {
    // Halves that are exact in binary go up, as in ECMAScript; format! would round them to even.
    let cents = value * 100.0;
    if cents.fract() == 0.5 { format!("{:.2}", (cents + 0.5) / 100.0) } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_iso_in_utc() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_123, "2000-02-29T00:00:00.123Z"),
            (1_767_225_599_999, "2025-12-31T23:59:59.999Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(iso_time(ms), text);
        }
    }

    #[test]
    fn amounts_have_two_decimals() {
        for (value, text) in [(0.0, "0.00"), (0.123, "0.12"), (0.125, "0.13"), (1.005, "1.00"), (2.5, "2.50")] {
            assert_eq!(ecma_fixed(value), text);
        }
    }

    #[test]
    fn a_reminder_is_a_table() {
        let todo = TodoItem { id: "1".into(), content: "a|b\\".into(), status: "in_progress".into() };
        let text = reminder(&[todo], &Texts::builtin());
        assert!(text.starts_with("====\n\nREMINDERS\n\n"));
        assert!(text.contains("\n|---|---------|--------|\n| 1 | a\\|b\\\\ | In Progress |\n\n\n"));
        assert!(text.ends_with('\n'));
    }
}
