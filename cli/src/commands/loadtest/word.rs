//! A judgement in its word and colour.

use card_loadtests::result::Verdict;

use crate::output::Paint;

/// As it is read, without a colour.
pub(super) const fn plain(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS",
        Verdict::Fail => "FAIL",
        Verdict::Inconclusive => "INCONCLUSIVE",
    }
}

/// In its colour.
pub(super) fn painted(verdict: Verdict, paint: Paint) -> String {
    let word = plain(verdict);
    match verdict {
        Verdict::Pass => paint.good(word),
        Verdict::Fail => paint.bad(word),
        Verdict::Inconclusive => paint.warn(word),
    }
}
