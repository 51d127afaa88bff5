//! Real commands. Every wait is for an event or a pipe, with a limit only against a hang.
#![cfg(unix)]

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::timeout;

use super::*;

const HANG: Duration = Duration::from_secs(30);

fn terminals() -> Terminals {
    let path = ("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into());
    Terminals::new(Arc::new(Direct::new([path, ("MARK".into(), "inherited".into()), ("LANG".into(), "C".into())])))
}

struct Ended {
    exit: Exit,
    text: String,
    events: Vec<Event>,
    running: Running,
}

async fn next(running: &mut Running) -> Event {
    timeout(HANG, running.events.recv()).await.expect("an event in time").expect("an event")
}

async fn end(mut running: Running) -> Ended {
    let mut events = Vec::new();
    while events.last() != Some(&Event::Completed) {
        events.push(next(&mut running).await);
    }
    let text = running.process.output().into_text();
    Ended { exit: running.process.exit().expect("an exit"), text, events, running }
}

async fn run(command: &str) -> Ended {
    let folder = TempDir::new().expect("a folder");
    let terminals = terminals();
    end(terminals.run("task", folder.path(), command, None).await.expect("a command")).await
}

#[tokio::test]
async fn commands_end_with_their_codes_and_signals() {
    for (command, code, signal) in [
        ("true", 0, None),
        ("exit 3", 3, None),
        ("no-such-command-here", 127, None),
        ("sh -c 'kill -9 $$'; exit $?", 137, None),
        ("kill -15 $$", 0, Some("SIGTERM")),
        ("kill -9 $$", 0, Some("SIGKILL")),
    ] {
        let ended = run(command).await;
        assert_eq!(
            (ended.exit.code, ended.exit.signal.map(|s| s.name())),
            (code, signal.map(str::to_owned)),
            "{command}"
        );
    }
}

#[tokio::test]
async fn output_is_merged_in_order_of_arrival() {
    let ended = run("printf a; printf b >&2; printf 'c\\nd\\r\\n'; echo e >&2; printf f").await;
    assert_eq!(ended.text, "abc\nd\r\ne\nf");
}

#[tokio::test]
async fn the_environment_is_the_given_one_and_stdin_is_empty() {
    let ended = run("echo $MARK $LANG $LC_ALL $HOME; cat; pwd").await;
    assert!(ended.text.starts_with("inherited en_US.UTF-8 en_US.UTF-8\n/"), "{}", ended.text);
}

#[tokio::test]
async fn the_first_line_is_an_event_and_the_rest_comes_at_the_end() {
    let ended = run("printf 'a\\nb\\nc'").await;
    assert!(matches!(ended.events[0], Event::Started { .. }));
    assert_eq!(
        ended.events[1..],
        [
            Event::Output { end: 2 },
            Event::Exited(Some(Exit { code: 0, signal: None })),
            Event::Output { end: 4 },
            Event::Completed
        ]
    );
    assert_eq!(ended.running.process.output_until(2).into_text(), "a\n");
    assert!(!ended.running.process.has_unretrieved());
    assert_eq!(run("printf bad").await.events.len(), 3, "no line, no output event");
}

#[tokio::test]
async fn a_missing_directory_is_an_error() {
    let folder = TempDir::new().expect("a folder");
    let missing = folder.path().join("no");
    let error = terminals().run("task", &missing, "true", None).await.err();
    assert_eq!(error, Some(TerminalError::NoDirectory(missing)));
}

#[tokio::test]
async fn terminals_are_reused_by_directory_and_owner() {
    let (a, b) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    let all = terminals();
    let first = all.run("one", a.path(), "sleep 60", None).await.expect("a command");
    assert_eq!(first.terminal, 1);
    let second = end(all.run("one", a.path(), "true", None).await.expect("a command")).await;
    assert_eq!(second.running.terminal, 2, "the first is busy");
    let third = end(all.run("two", b.path(), "true", None).await.expect("a command")).await;
    assert_eq!(third.running.terminal, 3, "another directory");
    let fourth = end(all.run("two", a.path(), "true", None).await.expect("a command")).await;
    assert_eq!(fourth.running.terminal, 2, "any terminal at rest, and it changes its owner");
    first.process.abort();
    let first = end(first).await;
    assert_eq!(first.exit.signal.map(|s| s.name()), Some("SIGKILL".into()));
    assert_eq!(end(all.run("two", a.path(), "true", None).await.expect("a command")).await.running.terminal, 2);
    assert_eq!(end(all.run("one", a.path(), "true", None).await.expect("a command")).await.running.terminal, 1);
}

/// Whether a process is gone or only waits for its parent.
#[cfg(target_os = "linux")]
fn is_gone(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .map_or(true, |stat| stat.rsplit(')').next().unwrap_or("").trim_start().starts_with(['Z', 'X']))
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn abort_kills_the_whole_tree() {
    for command in [
        "sh -c 'sh -c \"echo \\$\\$; exec sleep 600\" & wait' & wait",
        "trap '' TERM INT HUP; echo $$; while :; do sleep 600; done",
        "setsid sh -c 'echo $$; exec sleep 600' & wait",
        // The one in between ends: its child belongs to nobody, in a session of its own.
        "sh -c 'setsid sh -c \"echo \\$\\$; exec sleep 600\" & exit' ; sleep 600",
    ] {
        let folder = TempDir::new().expect("a folder");
        let all = terminals();
        let mut running = all.run("task", folder.path(), command, None).await.expect("a command");
        while !matches!(next(&mut running).await, Event::Output { .. }) {}
        let pid = running.process.output().into_text().trim().to_owned();
        assert!(!pid.is_empty() && !is_gone(&pid), "{command}");
        assert!(all.operate("task", false));
        let ended = end(running).await;
        assert_eq!(ended.exit.signal.map(|s| s.name()), Some("SIGKILL".into()), "{command}");
        // The kernel closes the pipe a moment before it marks a killed process as dead.
        let dead = async {
            while !is_gone(&pid) {
                tokio::task::yield_now().await;
            }
        };
        timeout(HANG, dead).await.expect("a dead process");
    }
}

#[tokio::test]
async fn a_child_that_keeps_the_pipe_does_not_keep_the_command() {
    let folder = TempDir::new().expect("a folder");
    let all = terminals();
    let fifo = folder.path().join("fifo");
    let command = "mkfifo fifo; (read line < fifo; echo $line) & echo started";
    let ended = end(all.run("task", folder.path(), command, None).await.expect("a command")).await;
    assert_eq!((ended.exit.code, ended.text.as_str()), (0, "started\n"));
    assert!(all.busy("task").is_empty());
    // What it prints later is reported like that of a detached command.
    let changed = ended.running.process.changed();
    tokio::fs::write(&fifo, "later\n").await.expect("a reader");
    timeout(HANG, changed).await.expect("output");
    let unread = Unread { command: command.into(), output: Captured { head: "later\n".into(), ..Captured::default() } };
    assert_eq!(all.take_finished("task").pop().map(|finished| finished.unread), Some(vec![unread]));
}

#[tokio::test]
async fn a_command_that_closes_its_output_still_ends() {
    let ended = run("echo a; exec >&- 2>&-; exit 4").await;
    assert_eq!((ended.exit.code, ended.text.as_str()), (4, "a\n"));
}

#[tokio::test]
async fn a_detached_command_is_reported_later() {
    let folder = TempDir::new().expect("a folder");
    let all = terminals();
    let command = "mkfifo fifo; echo first; read line < fifo; echo $line; printf end";
    let mut running = all.run("task", folder.path(), command, None).await.expect("a command");
    while !matches!(next(&mut running).await, Event::Output { .. }) {}
    assert!(all.operate("task", true));
    assert_eq!(next(&mut running).await, Event::Detached);
    assert!(running.events.recv().await.is_none());
    assert!(!all.operate("task", true), "nothing in the foreground");
    let busy = all.busy("task");
    assert_eq!((busy.len(), busy[0].terminal, busy[0].process.command()), (1, 1, command));
    assert!(busy[0].process.take_unretrieved().is_empty(), "the first line was reported");
    assert!(all.take_finished("task").is_empty());
    all.release("task");
    assert_eq!(all.busy("other").len(), 1, "a background terminal belongs to everybody");

    tokio::fs::write(folder.path().join("fifo"), "second\n").await.expect("a reader");
    loop {
        let changed = running.process.changed();
        if running.process.is_completed() {
            break;
        }
        timeout(HANG, changed).await.expect("the end");
    }
    let finished = all.take_finished("other");
    assert_eq!(finished.len(), 1);
    assert_eq!(finished[0].unread[0].output.head, "second\nend");
    assert!(all.take_finished("other").is_empty(), "reading consumes it");
}

#[tokio::test]
async fn huge_output_stays_within_memory_and_goes_to_the_file() {
    let folder = TempDir::new().expect("a folder");
    let log = folder.path().join("command.log");
    let command = "i=0; while [ $i -lt 3 ]; do head -c 1000000 /dev/zero | tr '\\0' x; echo $i; i=$((i+1)); done";
    let ended = end(terminals().run("task", folder.path(), command, Some(log.clone())).await.expect("a command")).await;
    let output = ended.running.process.output();
    assert_eq!(output.head.len() + output.tail.len(), MEMORY_LIMIT);
    assert_eq!(output.omitted, 3_000_006 - MEMORY_LIMIT as u64);
    assert!(output.tail.ends_with("xx2\n"));
    assert_eq!(ended.running.process.log(), Some(log.clone()));
    let written = tokio::fs::read(&log).await.expect("the log");
    assert_eq!(written.len(), 3_000_006);
    assert!(written.starts_with(output.head.as_bytes()) && written.ends_with(output.tail.as_bytes()));
}

#[tokio::test]
async fn a_flood_is_bounded_and_can_be_killed() {
    let folder = TempDir::new().expect("a folder");
    let all = terminals();
    let mut running = all.run("task", folder.path(), "yes", None).await.expect("a command");
    while !matches!(next(&mut running).await, Event::Output { .. }) {}
    loop {
        let changed = running.process.changed();
        if running.process.output().omitted > 0 {
            break;
        }
        timeout(HANG, changed).await.expect("output");
    }
    running.process.abort();
    let ended = end(running).await;
    assert!(ended.text.len() <= MEMORY_LIMIT);
    assert_eq!(ended.exit.code, 0);
}

#[tokio::test]
async fn hot_commands_are_waited_for() {
    let folder = TempDir::new().expect("a folder");
    let all = terminals();
    let running = all.run("task", folder.path(), "sleep 600", None).await.expect("a command");
    all.cool("task", Duration::from_millis(1)).await;
    assert_eq!(all.busy("task").len(), 1, "still hot after the limit");
    running.process.abort();
    timeout(HANG, all.cool("task", HANG * 2)).await.expect("it cools when it ends");
    all.cool("other", HANG * 2).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn closing_the_engine_kills_what_runs() {
    let folder = TempDir::new().expect("a folder");
    let all = terminals();
    let mut running = all.run("task", folder.path(), "echo $$; exec sleep 600", None).await.expect("a command");
    while !matches!(next(&mut running).await, Event::Output { .. }) {}
    drop(all);
    let ended = end(running).await;
    assert_eq!(ended.exit.signal.map(|s| s.name()), Some("SIGKILL".into()));
}

#[cfg(target_os = "linux")]
#[test]
fn a_runtime_that_shuts_down_kills_what_runs() {
    let folder = TempDir::new().expect("a folder");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let all = terminals();
    let pid = runtime.block_on(async {
        let command = "trap '' TERM HUP; echo $$; while :; do sleep 600; done";
        let mut running = all.run("task", folder.path(), command, None).await.expect("a command");
        while !matches!(next(&mut running).await, Event::Output { .. }) {}
        running.process.output().into_text().trim().to_owned()
    });
    drop(runtime);
    let since = std::time::Instant::now();
    while !is_gone(&pid) {
        assert!(since.elapsed() < HANG, "{pid} lives");
        std::thread::yield_now();
    }
}
