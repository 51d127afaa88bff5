//! How environment details are laid out (spec 02 §10). Pure: facts in, text out.

use std::fmt::Write;

use crate::ecma;
use crate::prompt::text::Texts;
use crate::protocol::message::TodoItem;
use crate::task::calendar::Moment;

/// What the block tells.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Files that editors show.
    pub visible: Editors,
    /// Tabs with text.
    pub open: Editors,
    /// Files changed since the model saw them, in order.
    pub modified: Vec<String>,
    /// Terminals in which a command runs.
    pub busy: Vec<Busy>,
    /// Other terminals with output that was not shown yet.
    pub finished: Vec<Finished>,
    /// Milliseconds since the Unix epoch.
    pub now_ms: i64,
    /// IANA name of the time zone.
    pub zone: String,
    /// Its distance from UTC in minutes, positive to the east.
    pub zone_offset: i32,
    /// What follows the time; absent when the model's facts could not be had, which ends the block there.
    pub rest: Option<Rest>,
}

/// Paths relative to the workspace.
#[derive(Clone, Debug)]
pub enum Editors {
    /// All of them, as there is nothing that ignores any.
    All(Vec<String>),
    /// What an ignore file left of them.
    Filtered(Vec<String>),
}

/// A running command.
#[derive(Clone, Debug)]
pub struct Busy {
    /// Number of its terminal.
    pub terminal: u32,
    /// Working directory.
    pub cwd: String,
    /// The command line.
    pub command: String,
    /// Output that was not shown yet, compressed.
    pub output: String,
}

/// Finished commands of one terminal.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Number of the terminal.
    pub terminal: u32,
    /// Working directory.
    pub cwd: String,
    /// Command lines, each with its compressed output.
    pub processes: Vec<(String, String)>,
}

/// What follows the time.
#[derive(Clone, Debug, Default)]
pub struct Rest {
    /// US dollars spent by the task.
    pub cost: f64,
    /// Slug of the mode.
    pub slug: String,
    /// Name of the mode.
    pub name: String,
    /// Id of the model.
    pub model: String,
    /// Role definition and custom instructions of the mode, when they are to be repeated.
    pub steering: Option<(String, String)>,
    /// The workspace's path and what is said of its files.
    pub files: Option<(String, String)>,
    /// The todo list, when the task has them.
    pub todos: Option<Vec<TodoItem>>,
}

impl Default for Editors {
    fn default() -> Editors {
        Editors::All(Vec::new())
    }
}

/// The block.
pub fn render(facts: &Facts, texts: &Texts) -> String {
    let mut out = String::new();
    editors("Visible Files", &facts.visible, "env.no_visible", texts, &mut out);
    editors("Open Tabs", &facts.open, "env.no_tabs", texts, &mut out);
    modified(&facts.modified, texts, &mut out);
    terminals(facts, &mut out);
    time(facts, texts, &mut out);
    let Some(told) = &facts.rest else {
        return format!("<environment_details>\n{}\n</environment_details>", ecma::trim(&out));
    };
    let _ = write!(out, "\n\n# Current Cost\n${}", ecma::text::cents(told.cost));
    let _ = write!(
        out,
        "\n\n# Current Mode\n<slug>{}</slug>\n<name>{}</name>\n<model>{}</model>\n",
        told.slug, told.name, told.model
    );
    if let Some((role, instructions)) = &told.steering {
        let _ = writeln!(out, "<role>{role}</role>");
        if !instructions.is_empty() {
            let _ = writeln!(out, "<custom_instructions>{instructions}</custom_instructions>");
        }
    }
    if let Some((workspace, files)) = &told.files {
        let _ = write!(out, "\n\n# Current Workspace Directory ({workspace}) Files\n{files}");
    }
    let reminder = told.todos.as_ref().map(|todos| reminder(todos, texts)).unwrap_or_default();
    format!("<environment_details>\n{}\n{reminder}\n</environment_details>", ecma::trim(&out))
}

/// Paths, one a line; those left by an ignore file stand in one line, even when none is left.
fn editors(title: &str, editors: &Editors, none: &str, texts: &Texts, out: &mut String) {
    let listed = match editors {
        Editors::All(paths) if paths.is_empty() => texts.get(none),
        Editors::All(paths) => paths.join("\n"),
        Editors::Filtered(paths) => paths.join(","),
    };
    let _ = write!(out, "\n\n# VSCode {title}\n{listed}");
}

fn modified(paths: &[String], texts: &Texts, out: &mut String) {
    if paths.is_empty() {
        return;
    }
    let _ = write!(out, "\n\n# Recently Modified Files\n{}", texts.get("env.recent"));
    for path in paths {
        let _ = write!(out, "\n{path}");
    }
}

fn terminals(facts: &Facts, out: &mut String) {
    if !facts.busy.is_empty() {
        out.push_str("\n\n# Actively Running Terminals");
    }
    for Busy { terminal, cwd, command, output } in &facts.busy {
        let _ = write!(
            out,
            "\n## Terminal {terminal} (Active)\n### Working Directory: `{cwd}`\n### Original command: `{command}`"
        );
        if !output.is_empty() {
            let _ = write!(out, "\n### New Output\n{output}");
        }
    }
    let told: Vec<&Finished> = facts.finished.iter().filter(|terminal| !terminal.processes.is_empty()).collect();
    if !told.is_empty() {
        out.push_str("\n\n# Inactive Terminals with Completed Process Output");
    }
    for Finished { terminal, cwd, processes } in told {
        let _ = write!(out, "\n## Terminal {terminal} (Inactive)\n### Working Directory: `{cwd}`");
        for (command, output) in processes {
            let _ = write!(out, "\n### New Output\nCommand: `{command}`\n{output}");
        }
    }
}

fn time(facts: &Facts, texts: &Texts, out: &mut String) {
    let sign = if facts.zone_offset < 0 { '-' } else { '+' };
    let distance = facts.zone_offset.unsigned_abs();
    let _ = write!(
        out,
        "\n\n# Current Time\n{} {}\n{} {}, UTC{sign}{}:{:02}",
        texts.get("env.time"),
        iso_time(facts.now_ms),
        texts.get("env.timezone"),
        facts.zone,
        distance / 60,
        distance % 60
    );
}

/// ISO 8601 in UTC with milliseconds.
fn iso_time(ms: i64) -> String {
    let Moment { year, month, day, hour, minute, second, millisecond } = Moment::of(ms);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
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

    /// parity 02 §10: the parts in their order; what is not known of the model leaves out the rest
    #[test]
    fn the_parts_follow_each_other() {
        let (mut terminals, lists) = (Facts::default(), |path: &str| Editors::Filtered(vec![path.into(), "b".into()]));
        let (cwd, output) = ("/ws".to_owned(), "out".to_owned());
        terminals.busy = vec![Busy { terminal: 1, cwd: cwd.clone(), command: "make".into(), output: output.clone() }];
        terminals.finished = vec![
            Finished { terminal: 2, cwd: cwd.clone(), processes: vec![("ls".into(), output)] },
            Finished { terminal: 3, cwd, processes: Vec::new() },
        ];
        let steering = Some(("Role.".to_owned(), String::new()));
        let (slug, name, model) = ("code".to_owned(), "Code".to_owned(), "m".to_owned());
        let files = Some(("/ws".to_owned(), "a\nb".to_owned()));
        let rest = Rest { cost: 0.125, slug, name, model, steering, files, todos: None };
        let (visible, open, modified) = (lists("a"), Editors::default(), vec!["c".to_owned(), "d".to_owned()]);
        let (zone, zone_offset) = ("Asia/Kolkata".to_owned(), 330);
        let known = Facts { visible, open, modified, zone, zone_offset, rest: Some(rest), ..terminals };
        let texts = Texts::builtin();
        let [none, recent, time, zone] =
            ["env.no_tabs", "env.recent", "env.time", "env.timezone"].map(|id| texts.get(id));
        let begin = format!(
            "<environment_details>\n# VSCode Visible Files\na,b\n\n# VSCode Open Tabs\n{none}\n\n# Recently Modified Files\n{recent}\nc\nd\n\n\
             # Actively Running Terminals\n## Terminal 1 (Active)\n### Working Directory: `/ws`\n### Original command: `make`\n\
             ### New Output\nout\n\n# Inactive Terminals with Completed Process Output\n## Terminal 2 (Inactive)\n\
             ### Working Directory: `/ws`\n### New Output\nCommand: `ls`\nout\n\n\
             # Current Time\n{time} 1970-01-01T00:00:00.000Z\n{zone} Asia/Kolkata, UTC+5:30"
        );
        let end = "\n\n# Current Cost\n$0.13\n\n# Current Mode\n<slug>code</slug>\n<name>Code</name>\n<model>m</model>\n\
             <role>Role.</role>\n\n\n# Current Workspace Directory (/ws) Files\na\nb\n\n</environment_details>";
        assert_eq!(render(&known, &texts), format!("{begin}{end}"));
        let unknown = Facts { rest: None, ..known };
        assert_eq!(render(&unknown, &texts), format!("{begin}\n</environment_details>"));
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
