//! What a host is told: messages add up, calls and asks open and close, nothing is cut.

use lapce_ai::protocol::event::{AskOutcome, Event, SessionState, ToolStatus};
use serde_json::json;

use crate::harness::{Mode, both, done, messages};

both! {
    a_task_is_told_from_its_start_to_its_result,
    a_call_streams_while_it_is_written,
    messages_add_up,
    what_is_larger_than_the_ring_arrives_whole,
    a_raw_completion_streams_as_a_message_of_its_request,
}

const WRITE: &str = "I write.\n<write_to_file>\n<path>a.txt</path>\n<content>\none\n</content>\n<line_count>1</line_count>\n</write_to_file>";

fn a_task_is_told_from_its_start_to_its_result(mode: Mode) {
    let place = mode.replay(&[WRITE, &done("Written.")]);
    let host = place.host(&[]);
    let session = host.start_with("write", json!({"alwaysAllowWrite": false}));
    let ask = host.ask("tool");
    host.respond(ask, "yes").unwrap();
    assert_eq!(host.completed(), "Written.");
    host.ask("completion_result");
    host.until(|event| {
        matches!(&event.event, Event::SessionState(changed) if changed.state == SessionState::Completed).then_some(())
    });
    assert_eq!(std::fs::read_to_string(place.workspace.join("a.txt")).unwrap().trim_end(), "one");

    let events = host.events();
    let of_session = || events.iter().filter(|event| event.session.is_some());
    assert!(of_session().all(|event| event.session.is_some_and(|id| id.raw() == session)));
    let at = |wanted: &dyn Fn(&Event) -> bool| events.iter().position(|event| wanted(&event.event));
    let asked = at(&|event| matches!(event, Event::Ask(ask) if ask.kind == "tool")).unwrap();
    let resolved = events
        .iter()
        .position(|event| {
            event.about == ask && matches!(&event.event, Event::AskResolved(r) if r.outcome == AskOutcome::Answered)
        })
        .unwrap();
    let begin = at(&|event| matches!(event, Event::ToolBegin(tool) if tool.tool == "write_to_file")).unwrap();
    let end = at(
        &|event| matches!(event, Event::ToolEnd(tool) if tool.tool == "write_to_file" && tool.status == ToolStatus::Ok),
    )
    .unwrap();
    assert!(begin < asked && asked < resolved && resolved < end, "{begin} {asked} {resolved} {end}");
    assert_eq!(events[begin].about, events[end].about, "one call");
    let written: String = events[begin..asked]
        .iter()
        .filter(|event| event.about == events[begin].about)
        .filter_map(|event| match &event.event {
            Event::ToolDelta(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(written, WRITE[WRITE.find("\n<path>").unwrap()..].trim_end_matches("</write_to_file>"));

    let states: Vec<SessionState> = of_session()
        .filter_map(|event| match &event.event {
            Event::SessionState(changed) => Some(changed.state),
            _ => None,
        })
        .collect();
    for state in [SessionState::Running, SessionState::Streaming, SessionState::Completed] {
        assert!(states.contains(&state), "{states:?}");
    }
    let window = |event: &Event| matches!(event, Event::Usage(usage) if usage.context_window == 200_000);
    assert!(at(&window).is_some(), "usage comes with the size of the model's context window");
}

fn a_call_streams_while_it_is_written(mode: Mode) {
    let lines = "a line of the file\n".repeat(4_000);
    let turn = json!({"text": format!("{}{lines}", &WRITE[..WRITE.find("one").unwrap()])});
    let (before, after) = (json!({"expect": {}}), json!({"text": &WRITE[WRITE.find("</content>").unwrap()..]}));
    let waits = json!({"text": "", "delay_ms": 3_600_000});
    let place = mode.play(&format!("{before}\n{turn}\n{waits}\n{after}\n"));
    let host = place.host(&[]);
    let session = host.start("write much");
    let mut written = String::new();
    while !written.contains(lines.trim_end()) {
        written += &host.until(|event| match &event.event {
            Event::ToolDelta(text) => Some(text.clone()),
            _ => None,
        });
    }
    assert!(written.starts_with("\n<path>a.txt</path>\n<content>\n"));
    host.call(&json!({"type": "task.cancel", "session": session})).unwrap();
    assert!(!host.events().iter().any(|event| matches!(&event.event, Event::ToolEnd(_))), "it was never complete");
}

fn messages_add_up(mode: Mode) {
    let text = "Grüße aus 東京 🗼, ".repeat(2000);
    let place = mode.replay(&[&format!("{text}\n{WRITE}"), "<thinking>hm</thinking> and no tool", &done("End.")]);
    let host = place.host(&[]);
    host.start("say much");
    assert_eq!(host.completed(), "End.");
    let messages = messages(&host.events());
    assert!(messages.values().any(|(_, whole)| whole.contains("東京 🗼") && whole.len() >= text.trim_end().len()));
    for (streamed, whole) in messages.values() {
        assert!(whole.starts_with(streamed.trim_end()), "streamed {streamed:?}, whole {whole:?}");
    }
}

fn what_is_larger_than_the_ring_arrives_whole(mode: Mode) {
    let answer = "A line of the answer, neither long nor short.\n".repeat(8_000);
    let place = mode.replay(&[&format!("{answer}{WRITE}"), &done("End.")]);
    let host = place.host(&[]);
    let task = "A line of the task. ".repeat(100_000);
    host.start(&task);
    assert_eq!(host.completed(), "End.");
    let whole = |wanted: &str| {
        host.events().iter().any(|event| {
            matches!(&event.event, Event::MessageEnd(end) if end.text.as_ref().is_some_and(|text| text.starts_with(wanted)))
        })
    };
    assert!(whole(task.trim_end()) && whole(answer.trim_end()));
}

fn a_raw_completion_streams_as_a_message_of_its_request(mode: Mode) {
    let place = mode.replay(&["Hello there."]);
    let host = place.host(&[]);
    let create = json!({"type": "completion.create", "messages": [{"role": "user", "content": "Hi"}]});
    let result = host.call(&create).unwrap();
    assert!(result["tokens_out"].is_u64(), "{result}");
    let text: String = host
        .events()
        .iter()
        .filter_map(|event| match &event.event {
            Event::MessageDelta(text) => Some(text.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(text, "Hello there.");
    assert_eq!(host.call(&create).unwrap_err().kind, "provider", "the transcript has ended");
}
