//! Which events a client has got, by session: what it must not hand out twice, and what it tells the engine after a loss.

use std::collections::HashMap;

/// Sessions remembered; beyond it those not heard of for longest are forgotten. Four times what an engine runs at once.
const SESSION_LIMIT: usize = 16_384;

/// Session index of events that belong to no session.
const OWN: u32 = 0;

/// Last numbers by session index; index 0 stands for the client's own events.
#[derive(Default)]
pub(super) struct Seen {
    sessions: HashMap<u32, Last>,
    /// Events so far: when a session was heard of.
    now: u64,
}

struct Last {
    sequence: u32,
    heard: u64,
}

/// What an event is, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// The next one, or one that has no number.
    New,
    /// Had before.
    Repeat,
    /// At least one is missing before it.
    Gap,
}

impl Seen {
    /// Takes note of an event. The first of a session is taken as it comes; number 0 is none.
    pub fn arrive(&mut self, session: u32, sequence: u32) -> Arrival {
        if sequence == 0 {
            return Arrival::New;
        }
        self.now += 1;
        let heard = self.now;
        let Some(last) = self.sessions.get_mut(&session) else {
            self.make_room();
            self.sessions.insert(session, Last { sequence, heard });
            return Arrival::New;
        };
        last.heard = heard;
        // 0 is no number: 1 follows the highest.
        if sequence == last.sequence.checked_add(1).unwrap_or(1) {
            last.sequence = sequence;
            Arrival::New
        } else if last.sequence.wrapping_sub(sequence) <= u32::MAX / 2 {
            Arrival::Repeat
        } else {
            Arrival::Gap
        }
    }

    /// The last number of every session.
    pub fn sessions(&self) -> Vec<(u32, u32)> {
        let sessions = self.sessions.iter().filter(|(session, _)| **session != OWN);
        sessions.map(|(session, last)| (*session, last.sequence)).collect()
    }

    /// The last number of the client's own events.
    pub fn own(&self) -> Option<u32> {
        self.sessions.get(&OWN).map(|last| last.sequence)
    }

    /// Takes the next event of this session as it comes.
    pub fn forget(&mut self, session: u32) {
        self.sessions.remove(&session);
    }

    /// Forgets the older half when there are too many: once in a long while, so that each event pays next to nothing.
    fn make_room(&mut self) {
        if self.sessions.len() < SESSION_LIMIT {
            return;
        }
        let mut heard: Vec<u64> =
            self.sessions.iter().filter(|(session, _)| **session != OWN).map(|(_, last)| last.heard).collect();
        let (_, middle, _) = heard.select_nth_unstable(SESSION_LIMIT / 2);
        let middle = *middle;
        self.sessions.retain(|session, last| *session == OWN || last.heard > middle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_tell_new_events_from_repeats_and_gaps() {
        use Arrival::*;
        let mut seen = Seen::default();
        for (session, sequence, arrival) in [
            (1, 7, New), // taken as it comes
            (1, 8, New),
            (1, 8, Repeat),
            (1, 3, Repeat),
            (1, 0, New),
            (1, 10, Gap),
            (1, 9, New),
            (2, 1, New),
            (0, 1, New),
            (0, 3, Gap),
            (3, u32::MAX - 1, New),
            (3, u32::MAX, New),
            (3, 1, New),
            (3, u32::MAX, Repeat),
        ] {
            assert_eq!(seen.arrive(session, sequence), arrival, "{session} {sequence}");
        }
        let mut sessions = seen.sessions();
        sessions.sort_unstable();
        assert_eq!((sessions, seen.own()), (vec![(1, 9), (2, 1), (3, 1)], Some(1)));
        seen.forget(1);
        assert_eq!(seen.arrive(1, 100), New);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_recent() {
        let mut seen = Seen::default();
        seen.arrive(OWN, 1);
        for session in 1..=SESSION_LIMIT as u32 * 2 {
            seen.arrive(1, session);
            seen.arrive(session, session);
            assert!(seen.sessions.len() <= SESSION_LIMIT);
        }
        assert_eq!(seen.own(), Some(1));
        // A session that goes on is not forgotten for its age.
        assert_eq!(seen.arrive(1, 1), Arrival::Repeat);
        assert_eq!(seen.arrive(SESSION_LIMIT as u32 * 2, 1), Arrival::Repeat);
    }
}
