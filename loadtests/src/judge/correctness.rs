//! Whether what was accepted was done, once.

use crate::result::{Audit, Verdict};
use card_client::audit;

/// A generator that is missing took its ledger with it: what that owes nobody knows, so what the others prove is not all.
pub(super) fn verdict(found: &Audit, one_is_missing: bool) -> Verdict {
    match audit::verdict(found.accepted, found.lost + found.duplicate + found.stuck, found.unverified) {
        Verdict::Pass if one_is_missing => Verdict::Inconclusive,
        verdict => verdict,
    }
}
