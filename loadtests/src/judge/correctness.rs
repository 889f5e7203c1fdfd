//! Whether what was accepted was done, once.

use crate::audit;
use crate::result::{Correctness, Verdict};

pub(super) fn verdict(found: &Correctness) -> Verdict {
    audit::verdict(found.accepted, found.lost + found.duplicate + found.stuck, found.unverified)
}
