//! One file for each kind of task.

pub(crate) mod add;
pub(crate) mod replacement;
