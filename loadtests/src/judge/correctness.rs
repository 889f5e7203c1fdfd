//! Whether what was accepted was done, once.

use crate::result::{Correctness, Verdict};

pub(super) fn verdict(found: &Correctness) -> Verdict {
    if found.lost + found.duplicate + found.stuck > 0 {
        Verdict::Fail
    } else if found.unverified > 0 || found.accepted == 0 {
        Verdict::Inconclusive
    } else {
        Verdict::Pass
    }
}
