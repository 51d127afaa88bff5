//! What several hooks say together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::answer::Said;
use crate::settings::hooks::HookEvent;

/// What a hook decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Approve without the user, where settings let hooks do that.
    Allow,
    /// Ask the user, also where settings approve.
    Ask,
    /// Refuse.
    Deny,
}

/// What the hooks of one event say together: the strictest decision, changes and texts of all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Verdict {
    /// The strictest decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// Why, as the hook that decided says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// New values of parameters; a later hook's win.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// Texts for the model, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<String>,
}

/// A verdict as it is noted, so that a restored session does not run its hooks again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NotedVerdict {
    /// Event of the hooks.
    pub event: HookEvent,
    /// Number of the tool call; 0 when it is about none.
    pub call: u64,
    /// What they said.
    pub verdict: Verdict,
}

impl Verdict {
    /// Takes in what the next hook said.
    pub(super) fn take(&mut self, said: Said) {
        if said.decision > self.decision {
            self.decision = said.decision;
            self.reason = said.reason;
        }
        self.parameters.extend(said.parameters.unwrap_or_default());
        self.context.extend(said.context);
    }

    /// Whether a hook refused.
    pub fn denies(&self) -> bool {
        self.decision == Some(Decision::Deny)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strictest_decision_holds_and_the_rest_adds_up() {
        use Decision::{Allow, Ask, Deny};
        for (decisions, together) in [
            (vec![], None),
            (vec![None, None], None),
            (vec![Some(Allow), None], Some((Allow, 0))),
            (vec![Some(Allow), Some(Ask)], Some((Ask, 1))),
            (vec![Some(Ask), Some(Allow)], Some((Ask, 0))),
            (vec![Some(Ask), Some(Ask)], Some((Ask, 0))),
            (vec![Some(Ask), Some(Deny)], Some((Deny, 1))),
        ] {
            let mut verdict = Verdict::default();
            for (at, decision) in decisions.iter().enumerate() {
                let parameters = BTreeMap::from([("path".to_owned(), at.to_string())]);
                let (reason, context) = (Some(at.to_string()), Some(at.to_string()));
                verdict.take(Said { decision: *decision, reason, parameters: Some(parameters), context });
            }
            let expected = together.map(|(decision, at): (Decision, usize)| (decision, Some(at.to_string())));
            assert_eq!(verdict.decision.map(|decision| (decision, verdict.reason.clone())), expected, "{decisions:?}");
            assert_eq!(verdict.context.len(), decisions.len());
            let last = decisions.len().checked_sub(1).map(|at| at.to_string());
            assert_eq!(verdict.parameters.get("path"), last.as_ref());
        }
    }
}
