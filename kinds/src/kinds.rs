//! The registry: one line for each kind, with the code that stands in ledgers instead of its name.
//!
//! A code is given once, in order, and never to another kind, however long the first is gone: ledgers outlive programs.
//! The compiler refuses a gap, a repeat and a file that is not there; a ledger refuses a code that it knows for another
//! kind.

use crate::Definition;

macro_rules! registry {
    ($($code:literal = $module:ident :: $kind:ident;)*) => {
        $(pub mod $module;)*

        /// Every kind, by code.
        pub(crate) const ALL: &[Definition] = &[$(Definition::of::<$module::$kind>($code)),*];
    };
}

registry! {
    0 = replacement::CardReplacement;
    1 = add::Addition;
    2 = purchase::Purchasing;
}

/// Codes are dense and in order, and names are told apart.
const _: () = {
    let mut at = 0;
    while at < ALL.len() {
        assert!(ALL[at].code as usize == at, "codes follow each other from 0 on: none left out, none given twice");
        let mut other = 0;
        while other < at {
            assert!(!ALL[at].kind.is_same(ALL[other].kind), "two kinds have one name");
            other += 1;
        }
        at += 1;
    }
};
