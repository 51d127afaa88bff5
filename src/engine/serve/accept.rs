//! Who comes in: hello, number, rings; and what it had before.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::engine::attachment::Attachment;
use crate::engine::core::Core;
use crate::engine::intake::{self, Connection};
use crate::engine::journal::Entry;
use crate::engine::link::Link;
use crate::engine::{CLIENT_LIMIT, HOST_METHODS, surroundings};
use crate::protocol::failure::ErrorKind;
use crate::protocol::hello::{Hello, Refusal, RingSizes, Welcome};
use crate::transport::EngineEnd;
use crate::transport::attach::{ArriveError, Arriving, Listener};

/// How long a newcomer may take to introduce itself.
const HELLO_LIMIT: Duration = Duration::from_secs(5);
/// Newcomers who introduce themselves at once; more wait in the socket's queue.
const ARRIVING_LIMIT: usize = 32;
/// Largest arena of events that a client gets, bytes, whatever it asks for: the memory is the engine's.
const LARGEST_RING: u32 = 16 << 20;
/// After a failure to accept, such as for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Takes clients in, for ever.
pub async fn run(core: &Arc<Core>, listener: &Listener) {
    let places = Arc::new(Semaphore::new(ARRIVING_LIMIT));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok(arriving) => {
                let core = core.clone();
                tokio::spawn(async move {
                    // A newcomer that gives up or misbehaves concerns nobody else.
                    let _ = admit(&core, arriving).await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn admit(core: &Arc<Core>, arriving: Arriving) -> Result<(), ArriveError> {
    let (hello, waiting) = arriving.hello(HELLO_LIMIT).await?;
    let client = match client(core, &hello) {
        Ok(client) => client,
        Err(refusal) => {
            waiting.refuse(&refusal);
            return Ok(());
        }
    };
    let events = RingSizes { bytes: hello.events.bytes.min(LARGEST_RING), ..hello.events };
    let welcome = Welcome {
        number: client.number,
        generation: core.next_pair(),
        engine_generation: core.generation,
        pid: std::process::id(),
        events,
        sessions: core.sessions_of(&client, hello.observe),
    };
    let EngineEnd { events: writer, requests, blobs_out, blobs_in } =
        waiting.welcome(&welcome, surroundings::now_ns(), HELLO_LIMIT).await?;
    let link = Arc::new(Link::new(client.number, writer, blobs_out, blobs_in, events.bytes as usize));
    let connection = Connection { client, link };
    let seen: HashMap<u32, u32> = hello.seen.iter().copied().collect();
    let seen = |session| if session == 0 { hello.seen_own } else { seen.get(&session).copied() };
    core.connect(&connection, hello.capabilities.clone(), hello.observe, seen);
    intake::serve(core.clone(), connection, requests);
    Ok(())
}

/// The client that introduces itself: known by its id, or new.
fn client(core: &Core, hello: &Hello) -> Result<Arc<Attachment>, Refusal> {
    let refuse = |kind: ErrorKind, message: String| Refusal { kind: kind.as_str().to_owned(), message };
    if core.is_closed() {
        return Err(refuse(ErrorKind::Closed, "the engine is closed".into()));
    }
    if let Some(unknown) = hello.capabilities.iter().find(|name| !HOST_METHODS.iter().any(|(method, _)| method == name))
    {
        return Err(refuse(ErrorKind::InvalidArgument, format!("unknown capability `{unknown}`")));
    }
    let known = core.client_by_id(&hello.client);
    let is_new = known.is_none();
    if is_new && !core.has_room(CLIENT_LIMIT) {
        return Err(refuse(ErrorKind::Busy, format!("more than {CLIENT_LIMIT} clients")));
    }
    let client = known.unwrap_or_else(|| {
        let (id, name) = (hello.client.clone(), hello.name.clone());
        Attachment::new(core.client_number(), id, name, hello.share, core.keeper.clone())
    });
    core.keep(|| Entry::Client {
        number: client.number,
        id: hello.client.as_str().into(),
        name: hello.name.as_str().into(),
        share: client.share,
        capabilities: hello.capabilities.as_slice().into(),
    });
    if is_new {
        core.admit(client.clone());
    }
    Ok(client)
}
