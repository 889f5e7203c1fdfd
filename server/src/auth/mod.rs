//! Who calls: tokens, passwords, the limit on sign-ins, and the extractors by which a handler says whom it serves.

pub(crate) mod argon;
pub(crate) mod caller;
pub(crate) mod logins;
pub(crate) mod operator;
pub(crate) mod passwords;
pub(crate) mod seats;
pub(crate) mod seen;
pub(crate) mod standing;
pub(crate) mod strength;
pub(crate) mod tokens;
