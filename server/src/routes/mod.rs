//! One file for each noun of the API. A handler takes out of the request what it needs, calls, and answers.

pub(crate) mod cards;
pub(crate) mod dead_letters;
pub(crate) mod docs;
pub(crate) mod effects;
pub(crate) mod events;
pub(crate) mod health;
pub(crate) mod metrics;
pub(crate) mod openapi;
pub(crate) mod page;
pub(crate) mod purchases;
pub(crate) mod queue;
pub(crate) mod replacements;
pub(crate) mod scaling;
pub(crate) mod sessions;
pub(crate) mod stats;
pub(crate) mod synthetic_users;
pub(crate) mod tasks;
pub(crate) mod users;
