//! Live engines and clients. A handle is a number in the form of a pointer and never followed, so that one kept too long,
//! or made up, is an error and not a crash. Numbers are not used again.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use super::error::Failure;
use crate::protocol::failure::ErrorKind;

/// Distance of two handles: looks like an aligned address, in no page that is mapped.
const STEP: usize = 8;

/// Handles of one kind of object.
pub(super) struct Handles<T> {
    /// Name of the argument in errors.
    name: &'static str,
    live: LazyLock<RwLock<Live<T>>>,
}

struct Live<T> {
    objects: HashMap<usize, Arc<T>>,
    /// The last number given.
    last: usize,
}

impl<T> Handles<T> {
    pub const fn new(name: &'static str) -> Handles<T> {
        Handles { name, live: LazyLock::new(|| RwLock::new(Live { objects: HashMap::new(), last: 0 })) }
    }

    /// Takes the object in and gives its handle.
    pub fn insert<H>(&self, object: T) -> Result<*mut H, Failure> {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        let number = live.last.checked_add(STEP);
        let number = number.ok_or_else(|| Failure::new(ErrorKind::TooLarge, "no more handles"))?;
        live.last = number;
        live.objects.insert(number, Arc::new(object));
        Ok(std::ptr::without_provenance_mut(number))
    }

    /// The object; it lives on for as long as it is held.
    pub fn get<H>(&self, handle: *const H) -> Result<Arc<T>, Failure> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.objects.get(&handle.addr()).cloned().ok_or_else(|| self.missing(handle.addr(), live.last))
    }

    /// Takes the object out; nothing for NULL, a freed or a foreign handle.
    pub fn remove<H>(&self, handle: *const H) -> Option<Arc<T>> {
        self.live.write().unwrap_or_else(PoisonError::into_inner).objects.remove(&handle.addr())
    }

    fn missing(&self, number: usize, last: usize) -> Failure {
        match number {
            0 => Failure::argument(self.name, "NULL"),
            n if n <= last && n % STEP == 0 => {
                Failure { place: Some(self.name.to_owned()), ..Failure::new(ErrorKind::Closed, "was freed") }
            }
            _ => Failure::argument(self.name, "not a handle of this library"),
        }
    }
}
