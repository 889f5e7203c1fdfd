//! The target `processes`: a supervisor and its children, on the Postgres and the Redis that `./test` provides.

mod autoscale;
mod cluster;
mod faults;
mod fronts;
mod ledger;
mod lifecycle;
mod redis;
mod refusals;
mod scale;
mod secrets;
