//! An engine in its host's process dies with it, at any step of a task of thirty turns; a new one resumes the stored task.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use lapce_ai::engine::{Client, ClientOptions, Engine, EngineOptions, Received};
use lapce_ai::protocol::event::{Event, RequestFailed};
use lapce_ai::protocol::request::Request;
use serde_json::{Value, json};

use super::scene::{Dice, rounds};
use super::workload::{STEPS, Workload};
use crate::harness::DEADLINE;

/// Tells this binary to be the host that is killed: a JSON object.
const JOB: &str = "LAPCE_AI_KILL_RESUME";
/// Events of a turn, about.
const TURN: usize = 14;

/// What a life says.
#[derive(Debug)]
enum Said {
    /// The task it started or resumed, and its conversation as it was loaded.
    Task { id: String, conversation: Vec<Value> },
    /// Something happened, other than a piece of a message: the event, shortened.
    Step(String),
    /// The task is complete, the engine closed.
    Completed,
}

impl Said {
    /// A line without its end is what a life was about to say when it was killed; others are the test frame's.
    fn parse(line: &str) -> Option<Said> {
        let said: Value = serde_json::from_str(line.strip_prefix("@ ")?.strip_suffix(" .")?).unwrap();
        Some(match &said {
            Value::String(word) if word == "completed" => Said::Completed,
            Value::String(event) => Said::Step(event.clone()),
            _ => Said::Task {
                id: said["task"].as_str().unwrap().to_owned(),
                conversation: said["conversation"].as_array().unwrap().clone(),
            },
        })
    }
}

/// A life of the host with its engine.
struct Life {
    child: Child,
    said: Receiver<Said>,
    /// For a failure's message.
    steps: Vec<String>,
}

impl Life {
    fn begin(root: &Path, model: &str, task: Option<&str>) -> Life {
        let job = json!({"root": root, "model": model, "task": task});
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["kill::resume::process", "--exact", "--ignored", "--nocapture"])
            .env(JOB, job.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (say, said) = channel();
        std::thread::spawn(move || {
            // Once nobody listens, it may say what it likes.
            lines.filter_map(|line| Said::parse(&line.unwrap())).try_for_each(|said| say.send(said))
        });
        Life { child, said, steps: Vec::new() }
    }

    fn next(&mut self) -> Said {
        let said = self.said.recv_timeout(DEADLINE);
        let said = said.unwrap_or_else(|error| panic!("the host says nothing: {error}, after {:#?}", self.steps));
        if let Said::Step(event) = &said {
            self.steps.push(event.clone());
        }
        said
    }

    fn kill(&mut self) {
        // It may be dead.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
#[ignore = "the host of the test below, in a process of its own"]
fn process() {
    let Ok(job) = std::env::var(JOB) else { return };
    let job: Value = serde_json::from_str(&job).unwrap();
    let root = PathBuf::from(job["root"].as_str().unwrap());
    let settings = json!({
        "apiProvider": "openai", "openAiBaseUrl": job["model"], "openAiApiKey": "k", "openAiModelId": "m",
        "alwaysAllowReadOnly": true, "alwaysAllowWrite": false, "writeDelayMs": 0,
    });
    let engine = Engine::open(EngineOptions {
        storage: Some(root.join("storage")),
        home: Some(root.clone()),
        settings: settings.as_object().unwrap().clone(),
        ..EngineOptions::default()
    })
    .unwrap();
    let client = engine.client(ClientOptions::default()).unwrap();
    let mut out = std::io::stdout().lock();
    // Each in one piece: the reader gets all of it or nothing.
    let mut say = |said: Value| out.write_all(format!("@ {said} .\n").as_bytes()).and_then(|()| out.flush()).unwrap();
    let mut heard = VecDeque::new();
    let start = json!({"type": "task.start", "workspace": Workload::new(&root).lane(1), "text": "Work."});
    let stored = job["task"].as_str().and_then(|task| {
        let stored = call(&client, &mut heard, &json!({"type": "task.get", "task": task})).ok()?;
        call(&client, &mut heard, &json!({"type": "task.resume", "task": task})).ok()?;
        Some(json!({"task": task, "conversation": stored["conversation"]}))
    });
    // One that was killed before its first request was stored has nothing to go on with; whoever knows of turns misses them.
    say(stored.unwrap_or_else(|| {
        let started = call(&client, &mut heard, &start).unwrap();
        json!({"task": started["task"], "conversation": []})
    }));
    loop {
        let Some(received) = heard.pop_front().or_else(|| client.receive().unwrap()) else {
            client.wait(None, Duration::ZERO);
            continue;
        };
        match &received.event {
            Event::MessageDelta(_) | Event::ReasoningDelta(_) | Event::ToolDelta(_) | Event::ToolOutput(_) => continue,
            Event::TaskCompleted(_) => break,
            Event::Ask(ask) => {
                say(shortened(&received.event));
                let answer = match ask.kind.as_str() {
                    "followup" => json!({"response": "message", "text": "Go on."}),
                    _ => json!({"response": "yes"}),
                };
                let mut request = json!({"type": "task.respond", "ask": received.about});
                request.as_object_mut().unwrap().extend(answer.as_object().unwrap().clone());
                client.submit(&Request::from_json(&request.to_string()).unwrap()).unwrap();
            }
            event => say(shortened(event)),
        }
    }
    engine.close(DEADLINE);
    say(json!("completed"));
}

fn shortened(event: &Event) -> Value {
    format!("{event:?}").chars().take(200).collect::<String>().into()
}

/// Submits a request and waits for its answer; what is told meanwhile is put to `heard`.
fn call(client: &Client, heard: &mut VecDeque<Received>, request: &Value) -> Result<Value, RequestFailed> {
    let id = client.submit(&Request::from_json(&request.to_string()).unwrap()).unwrap().raw();
    loop {
        match client.receive().unwrap() {
            Some(received) if received.about == id => match received.event {
                Event::RequestDone(done) => return Ok(done.result.value()),
                Event::RequestFailed(failed) => return Err(failed),
                _ => {}
            },
            Some(received) => heard.push_back(received),
            None => drop(client.wait(None, Duration::ZERO)),
        }
    }
}

/// parity 02 §2.2: a task killed at any step is resumed with every turn it had, none twice, and its files are whole
#[test]
fn a_killed_task_is_resumed() {
    let mut dice = Dice::new();
    let mut kills = 0;
    // Lives of different length fall at different steps of a turn.
    for chain in 0..rounds().div_ceil(STEPS).min(TURN) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let workload = Workload::new(&root);
        let model = workload.serve();
        let mut task: Option<String> = None;
        let mut known: Vec<Value> = Vec::new();
        // A life that does not come to the end of a turn is followed by a longer one.
        let mut patience = 0;
        loop {
            let mut life = Life::begin(&root, &model, task.as_deref());
            let mut left = TURN + (chain * 5 + dice.below(TURN)) % TURN + patience;
            let ended = loop {
                match life.next() {
                    Said::Task { id, conversation } => {
                        assert!(conversation.len() >= known.len(), "{} turns of {}", conversation.len(), known.len());
                        check_turns(&conversation);
                        let loaded = said(&known, &conversation);
                        patience = if loaded.len() > known.len() { 0 } else { patience + TURN / 2 };
                        known = loaded;
                        task = Some(id);
                    }
                    Said::Completed => break true,
                    Said::Step(_) if left == 0 => break false,
                    Said::Step(_) => left -= 1,
                }
            };
            if ended {
                break;
            }
            dice.spin();
            life.kill();
            kills += 1;
            workload.check(1);
        }
        workload.check_end(1);
        let folder = root.join("storage/tasks").join(task.unwrap());
        let stored = std::fs::read_to_string(folder.join("api_conversation_history.json")).unwrap();
        let conversation: Vec<Value> = serde_json::from_str(&stored).unwrap();
        check_turns(&conversation);
        said(&known, &conversation);
        let all = steps(&conversation);
        assert!((1..=STEPS).all(|step| all.contains(&step)), "steps are missing: {all:?}");
    }
    println!("{kills} kills");
}

/// Turns alternate, and the steps the model says follow each other; one is only said again when its effect was lost.
fn check_turns(conversation: &[Value]) {
    for (at, pair) in conversation.windows(2).enumerate() {
        assert_ne!(pair[0]["role"], pair[1]["role"], "message {}", at + 1);
    }
    let steps = steps(conversation);
    assert!(steps.windows(2).all(|pair| pair[1] == pair[0] || pair[1] == pair[0] + 1), "{steps:?}");
}

/// What the model said before is still said, in the same words and order; gives all it said by now.
fn said(before: &[Value], conversation: &[Value]) -> Vec<Value> {
    let now: Vec<Value> = conversation.iter().filter(|message| message["role"] == "assistant").cloned().collect();
    let kept: Vec<&Value> = before.iter().collect();
    assert!(now.len() >= kept.len(), "{} of {} turns are left", now.len(), kept.len());
    assert!(now.iter().zip(&kept).all(|(now, before)| now == *before), "a stored turn has changed");
    now
}

fn steps(conversation: &[Value]) -> Vec<usize> {
    let said = conversation.iter().filter(|message| message["role"] == "assistant");
    let number = |message: &Value| {
        let text = message["content"][0]["text"].as_str().unwrap_or_default().to_owned();
        text.strip_prefix("Step ")?.split('.').next()?.parse().ok()
    };
    said.filter_map(number).collect()
}
