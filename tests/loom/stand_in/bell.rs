//! A bell as the system gives it: stays rung until drained, and for ever once the other side's process is gone.

use super::consumer::Waited;
use super::error::TransportError;
use loom::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

#[derive(Default)]
struct Sounds {
    rung: bool,
    gone: bool,
}

#[derive(Clone)]
pub struct Ringer(Arc<(Mutex<Sounds>, Condvar)>);

#[derive(Clone)]
pub struct Bell(Arc<(Mutex<Sounds>, Condvar)>);

/// The other side's process is gone.
pub struct Gone;

impl From<Gone> for TransportError {
    fn from(_: Gone) -> Self {
        Self::Lost
    }
}

impl From<Gone> for Waited {
    fn from(_: Gone) -> Self {
        Self::Lost
    }
}

pub fn bell() -> (Ringer, Bell) {
    let bell = Arc::new((Mutex::new(Sounds::default()), Condvar::new()));
    (Ringer(bell.clone()), Bell(bell))
}

impl Ringer {
    pub fn ring(&self) {
        self.0.0.lock().unwrap().rung = true;
        self.0.1.notify_one();
    }

    /// Who rings learns of it later, if at all.
    pub fn gone(&self) -> Option<Gone> {
        None
    }

    /// What the system does when the process that rings ends.
    pub fn hang_up(&self) {
        self.0.0.lock().unwrap().gone = true;
        self.0.1.notify_one();
    }
}

impl Bell {
    pub fn drain(&self) {
        self.0.0.lock().unwrap().rung = false;
    }

    pub fn wait(&self, _: Option<Duration>) {
        let mut sounds = self.0.0.lock().unwrap();
        while !sounds.rung && !sounds.gone {
            sounds = self.0.1.wait(sounds).unwrap();
        }
    }

    pub fn gone(&self) -> Option<Gone> {
        self.0.0.lock().unwrap().gone.then_some(Gone)
    }
}
