//! Counters of the engine and its rings.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::core::Core;

/// All counters now. Nothing is measured for it: every number is kept anyway.
pub fn collect(core: &Core) -> Value {
    let clients: Vec<Value> = core
        .attachments()
        .iter()
        .filter_map(|client| {
            let link = client.link()?;
            let ring = link.ring().counters();
            let (backlog, coalesced) = link.backlog();
            Some(json!({
                "client": link.client, "name": client.name, "records": ring.records, "bytes": ring.bytes, "full": ring.full,
                "backlog_bytes": backlog, "coalesced": coalesced,
            }))
        })
        .collect();
    let http = core.http.counts();
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    json!({
        "requests": count(&core.counters.requests),
        "failed_requests": count(&core.counters.failed),
        "sessions_opened": count(&core.counters.sessions),
        "sessions": core.session_count(),
        "host_requests_waiting": core.host_requests.len(),
        "http": {
            "requests": http.requests, "answers": http.answers, "reused": http.reused,
            "connections": http.connections, "failed_connections": http.failed_connections,
            "connect_ms": http.connecting.as_millis() as u64, "slowest_connect_ms": http.slowest.as_millis() as u64,
        },
        "clients": clients,
        "journal_failed": core.keeper.as_ref().is_some_and(super::keeper::Keeper::has_failed),
    })
}
