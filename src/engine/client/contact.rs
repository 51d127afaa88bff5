//! Reaching a serving engine: connect, and start one when none answers.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::options::{AttachError, Start};
use super::start::Started;
use crate::engine::serve::SOCKET;
use crate::engine::surroundings;
use crate::protocol::failure::ErrorKind;
use crate::protocol::hello::{Hello, Refusal, Welcome};
use crate::transport::ClientEnd;
use crate::transport::attach::{ConnectError, Connected, connect};

/// First and longest pause between two tries.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(10));
/// How long, first and at most, an engine that is being started by somebody else may take before we start one again. The
/// lock of one that was just killed is held until the system has taken its process apart: often a moment longer.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));
/// Least and most time for one try.
const ONE_TRY: Duration = Duration::from_millis(50);
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Where the engine is, and how it is started.
pub(super) struct Contact {
    pub runtime_dir: PathBuf,
    pub start: Option<Start>,
}

impl Contact {
    /// Attaches to the engine, until `deadline`. One try at least.
    pub fn establish(&self, hello: &Hello, deadline: Instant) -> Result<(ClientEnd, Welcome), AttachError> {
        let socket = self.runtime_dir.join(SOCKET);
        let mut pause = PAUSE.0;
        let (mut start_again, mut patience) = (Instant::now(), PATIENCE.0);
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).clamp(ONE_TRY, HANDSHAKE);
            let cause = match connect(&socket, hello, surroundings::now_ns(), left) {
                Ok(Connected { welcome, end }) => return Ok((end, welcome)),
                // Nobody there, or one who is going: another may come.
                Err(cause @ (ConnectError::NoServer | ConnectError::Lost | ConnectError::Timeout)) => cause,
                Err(cause @ ConnectError::Refused(_)) if is_leaving(&cause) => cause,
                Err(error) => return Err(refused(error)),
            };
            if Instant::now() >= deadline {
                return Err(AttachError::NoEngine { folder: self.runtime_dir.clone(), cause: cause.to_string() });
            }
            if let Some(start) = &self.start
                && Instant::now() >= start_again
            {
                let started = self.run(start, deadline)?;
                // Whoever holds the lock will answer soon; should it die instead, somebody must take its place.
                start_again = Instant::now() + patience;
                patience = (patience * 2).min(PATIENCE.1);
                match started {
                    Started::Ready => continue,
                    Started::Failed(reason) => return Err(AttachError::NotStarted(reason)),
                    Started::AlreadyRunning | Started::TimedOut => {}
                }
            }
            std::thread::sleep(pause.min(deadline.saturating_duration_since(Instant::now())));
            pause = (pause * 2).min(PAUSE.1);
        }
    }

    fn run(&self, start: &Start, deadline: Instant) -> Result<Started, AttachError> {
        start.run(&self.runtime_dir, deadline).map_err(|cause| {
            let program = start.program.clone().unwrap_or_else(surroundings::program);
            AttachError::Start { program, cause }
        })
    }
}

/// Whether an engine refuses because it ends.
fn is_leaving(error: &ConnectError) -> bool {
    matches!(error, ConnectError::Refused(refusal) if ErrorKind::parse(&refusal.kind) == Some(ErrorKind::Closed))
}

fn refused(error: ConnectError) -> AttachError {
    match error {
        ConnectError::Refused(Refusal { kind, message }) => {
            AttachError::Refused { kind: ErrorKind::parse(&kind).unwrap_or_default(), message }
        }
        ConnectError::Version(error) => AttachError::Version(error.to_string()),
        ConnectError::Ring(error) => AttachError::Transport(error),
        error => AttachError::Unusable(error.to_string()),
    }
}
