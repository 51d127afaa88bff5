//! What the sessions of these tests do, and the model that leads them. It goes by the conversation and by what it finds in
//! the workspace, as a model that checks its work would; so it needs no memory, and nothing is lost when a session is
//! restored.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::done;
use crate::loopback::{event_stream, piece};

/// What a lap of a session does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Talk,
    Write,
    Diff,
    Command,
    Question,
}

const LAP: [Step; 5] = [Step::Talk, Step::Write, Step::Diff, Step::Command, Step::Question];
const LAPS: usize = 6;
/// Steps of a session.
pub const STEPS: usize = LAP.len() * LAPS;
/// Bytes of a piece of the stream.
const PIECE: usize = 48;

/// The folders in which sessions work, one for each lane.
#[derive(Clone)]
pub struct Workload {
    root: PathBuf,
}

impl Workload {
    pub fn new(root: &Path) -> Workload {
        Workload { root: root.to_owned() }
    }

    /// Folder of a lane.
    pub fn lane(&self, lane: usize) -> PathBuf {
        let folder = self.root.join(format!("lane-{lane}"));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Serves the model; gives its address.
    pub fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}/v1", listener.local_addr().unwrap());
        let workload = self.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let workload = workload.clone();
                // An engine that is killed closes in the middle of anything.
                std::thread::spawn(move || workload.converse(connection));
            }
        });
        base
    }

    fn converse(&self, connection: TcpStream) -> Option<()> {
        let mut connection = BufReader::new(connection);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if connection.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let head = head.to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1)?.lines().next()?.trim().parse().ok()?;
        let mut body = vec![0; length];
        connection.read_exact(&mut body).ok()?;
        let answer = self.answer(&serde_json::from_slice(&body).ok()?)?;
        let out = connection.get_mut();
        out.write_all(event_stream().as_bytes()).ok()?;
        for part in answer.as_bytes().chunks(PIECE) {
            out.write_all(piece(std::str::from_utf8(part).ok()?).as_bytes()).ok()?;
        }
        out.write_all(b"data: [DONE]\n\n").ok()
    }

    /// What the model says to this request.
    fn answer(&self, request: &Value) -> Option<String> {
        let messages = request["messages"].as_array()?;
        let all = request.to_string();
        let lane: usize = numbers_after(&all, "lane-").next()?;
        let said = messages.iter().filter(|message| message["role"] == "assistant").map(Value::to_string);
        let last = said.filter_map(|text| numbers_after(&text, "Step ").max()).max().unwrap_or(0);
        let (number, again) = if last > 0 && !self.holds(lane, last) { (last, true) } else { (last + 1, false) };
        let Some(step) = step(number) else { return Some(done("All steps are done.")) };
        let call = match step {
            Step::Talk => "<list_files>\n<path>.</path>\n</list_files>".to_owned(),
            Step::Write => write("a.txt", &document(number)),
            Step::Diff if !again => diff(number),
            Step::Diff => write("a.txt", &document(number)),
            Step::Command if !again => {
                let text = command_output(number);
                format!("<execute_command>\n<command>echo '{text}' > c.new && mv c.new c.txt</command>\n</execute_command>")
            }
            Step::Command => write("c.txt", &command_output(number)),
            Step::Question => "<ask_followup_question>\n<question>Which?</question>\n<follow_up>\n<suggest>one</suggest>\n</follow_up>\n</ask_followup_question>".to_owned(),
        };
        let talk = "I look at what there is and say at length what I mean to do about it. ".repeat(8);
        Some(format!("Step {number}. {talk}\n{call}"))
    }

    /// Whether what this step has to bring about is there.
    fn holds(&self, lane: usize, number: usize) -> bool {
        let file = |name| std::fs::read_to_string(self.lane(lane).join(name)).unwrap_or_default();
        match step(number) {
            Some(Step::Write | Step::Diff) => file("a.txt").trim_end() == document(number),
            Some(Step::Command) => file("c.txt").trim_end() == command_output(number),
            _ => true,
        }
    }

    /// Every file of a lane is one of its versions, whole. An editor begins a new file empty; a writer that was killed leaves
    /// its temporary file beside.
    pub fn check(&self, lane: usize) {
        for entry in std::fs::read_dir(self.lane(lane)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let versions: BTreeSet<String> = match name {
                "a.txt" => steps(&[Step::Write, Step::Diff]).map(document).collect(),
                "c.txt" => steps(&[Step::Command]).map(command_output).collect(),
                "c.new" => continue,
                _ if name.starts_with('.') && name.ends_with(".tmp") => continue,
                _ => panic!("nobody wrote {}", path.display()),
            };
            // Moved away while we looked: it was there under another name before.
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            let text = text.trim_end();
            assert!(text.is_empty() || versions.contains(text), "{} is no version of it: {text:?}", path.display());
        }
    }

    /// The files of a lane are those of a run that nobody disturbed.
    pub fn check_end(&self, lane: usize) {
        self.check(lane);
        let file = |name| std::fs::read_to_string(self.lane(lane).join(name)).unwrap();
        assert_eq!(file("a.txt").trim_end(), document(steps(&[Step::Diff]).last().unwrap()), "lane {lane}");
        assert_eq!(file("c.txt").trim_end(), command_output(steps(&[Step::Command]).last().unwrap()), "lane {lane}");
    }
}

fn step(number: usize) -> Option<Step> {
    let at = number.checked_sub(1).filter(|at| *at < STEPS)?;
    Some(LAP[at % LAP.len()])
}

/// The numbers of all steps of these kinds.
fn steps(kinds: &[Step]) -> impl Iterator<Item = usize> {
    (1..=STEPS).filter(move |number| step(*number).is_some_and(|step| kinds.contains(&step)))
}

/// `a.txt` after this step.
fn document(number: usize) -> String {
    let lines: Vec<String> =
        (1..150).map(|line| format!("Line {line}: a part cannot be mistaken for the whole.")).collect();
    format!("{}\n{}\nThe end.", headline(number), lines.join("\n"))
}

fn headline(number: usize) -> String {
    format!("This is what step {number} made.")
}

fn command_output(number: usize) -> String {
    format!("The command of step {number}.")
}

fn write(path: &str, text: &str) -> String {
    let lines = text.lines().count();
    format!(
        "<write_to_file>\n<path>{path}</path>\n<content>\n{text}\n</content>\n<line_count>{lines}</line_count>\n</write_to_file>"
    )
}

/// Turns what the step before made into what this one makes.
fn diff(number: usize) -> String {
    let (old, new) = (headline(number - 1), headline(number));
    format!(
        "<apply_diff>\n<path>a.txt</path>\n<diff>\n<<<<<<< SEARCH\n:start_line:1\n-------\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n</diff>\n</apply_diff>"
    )
}

/// The numbers that stand behind `mark`.
fn numbers_after<'a>(text: &'a str, mark: &'a str) -> impl Iterator<Item = usize> {
    text.split(mark).skip(1).filter_map(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    })
}
