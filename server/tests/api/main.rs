//! The HTTP contract, on a real port with a real ledger. One module for each file of `src/routes`, and one for each
//! promise that belongs to no route.

mod app;
mod stream;

mod cancelling;
mod cards;
mod connections;
mod dead_letters;
mod effects;
mod events;
mod fronts;
mod health;
mod openapi;
mod overload;
mod page;
mod poison;
mod privacy;
mod problems;
mod purchases;
mod queue;
mod reads;
mod replacements;
mod sessions;
mod stopping;
mod synthetic_users;
mod tasks;
mod timing;
mod unreadable;
mod users;
