//! The result for people and for other programs: made of [`crate::result::Report`] and of nothing else.

#[cfg(test)]
pub(crate) mod fixture;
pub mod format;
