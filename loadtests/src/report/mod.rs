//! The result for people and for other programs: made of [`crate::result::Report`] and of nothing else.

mod chart;
pub mod comparison;
mod crew;
#[cfg(test)]
pub(crate) mod fixture;
pub mod format;
pub mod github;
#[cfg(test)]
mod hostile;
pub mod html;
pub mod junit;
pub mod markdown;
mod remarks;
pub mod sheet;
mod table;
