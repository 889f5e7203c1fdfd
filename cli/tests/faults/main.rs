//! Somebody pulls the plug in the middle of a run, of anything but Postgres' disk. Each test has a Postgres, a Redis and
//! real processes of its own, a load of unique users by the real program, and ends with the audit: lost 0, duplicate 0,
//! stuck 0, each effect once, and nothing is held any more.

mod kept;
mod load;
mod part;
mod platform;
mod proof;

mod chaos;
mod clocks;
mod ledger;
mod network;
mod redis_lost;
mod servers;
mod workers;
