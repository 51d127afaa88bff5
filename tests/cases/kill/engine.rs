//! The engine is killed; its host stays, and attaches to the next one.

use std::time::{Duration, Instant};

use lapce_ai::engine::Client;
use lapce_ai::protocol::event::Event;

use super::follower::{Follower, Next};
use super::scene::{Dice, Scene, rounds};
use super::{ABREAST, HANG};

/// Where a round kills.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    Anywhere,
    Stream,
    Approval,
    Edit,
    BetweenTurns,
}

const MOMENTS: [Moment; 5] = [Moment::Anywhere, Moment::Stream, Moment::Approval, Moment::Edit, Moment::BetweenTurns];

impl Moment {
    fn is(self, event: &Event) -> bool {
        match self {
            Moment::Anywhere => true,
            Moment::Stream => matches!(event, Event::MessageDelta(_)),
            Moment::Approval => matches!(event, Event::Ask(ask) if ask.kind != "completion_result"),
            Moment::Edit => matches!(event, Event::ToolBegin(tool) if tool.tool != "list_files"),
            Moment::BetweenTurns => matches!(event, Event::ToolEnd(_)),
        }
    }
}

#[test]
fn a_killed_engine_loses_nothing() {
    let (mut dice, scene) = (Dice::new(), Scene::new());
    let mut host = Follower::new(Client::attach(scene.site.starting(None)).unwrap());
    let mut recoveries = Vec::new();
    let mut lanes = 0;
    for _ in 0..rounds().div_ceil(2) {
        while host.unfinished() < ABREAST {
            lanes += 1;
            host.start(lanes, &scene.workload.lane(lanes));
        }
        reach(&mut host, &mut dice);
        dice.spin();
        let begin = Instant::now();
        scene.kill_engine();
        (1..=lanes).for_each(|lane| scene.workload.check(lane));
        while host.wait() != Next::Lost {}
        host.engine_died();
        let limit = Duration::from_secs(10);
        let called = Instant::now();
        let reattached = host.client.reattach(limit).unwrap();
        assert!(reattached.restored, "sessions were lost");
        assert!(called.elapsed() < limit + HANG, "reattach took {:?}", called.elapsed());
        recoveries.push(begin.elapsed());
        host.respond();
    }
    while host.unfinished() > 0 {
        assert_ne!(host.wait(), Next::Lost);
        host.respond();
    }
    while host.open_requests() > 0 {
        assert_ne!(host.wait(), Next::Lost);
    }
    host.check_end();
    (1..=lanes).for_each(|lane| scene.workload.check_end(lane));
    recoveries.sort_unstable();
    let at = |part: usize| recoveries[(recoveries.len() - 1) * part / 100];
    println!(
        "{} kills, {lanes} sessions, {} asks superseded; back after {:?} (half), {:?} (90 %), {:?} (99 %), {:?} (all)",
        recoveries.len(),
        host.superseded,
        at(50),
        at(90),
        at(99),
        at(100)
    );
}

/// Reads on until a moment of the dice's choice, or until there is nothing to read on for.
fn reach(host: &mut Follower, dice: &mut Dice) {
    let moment = MOMENTS[dice.below(MOMENTS.len())];
    let mut more = dice.below(6);
    // What is asked at the last moment waits over the death.
    let holds = moment == Moment::Approval && dice.below(2) == 0;
    for _ in 0..400 {
        if host.unfinished() == 0 {
            return;
        }
        let Next::Event(received) = host.wait() else { panic!("the engine ended by itself") };
        let is_there = moment.is(&received.event);
        if is_there && more == 0 {
            if !holds {
                host.respond();
            }
            return;
        }
        more -= usize::from(is_there);
        host.respond();
    }
}
