//! The real program, as a person or a script meets it: exit code, stdout, stderr. Each test has its own directories and
//! leaves no process behind.

mod bureau;
mod config;
mod demo;
mod disk;
mod dlq;
mod hangup;
mod help;
mod hostile;
mod images;
mod kill;
mod kubernetes;
mod lifecycle;
mod loadtest;
mod loadtest_compare;
mod loadtest_faults;
mod loadtest_gateways;
mod loadtest_generators;
mod loadtest_self;
mod manifests;
mod masked;
mod minikube;
mod output;
mod processes;
mod proxies;
mod queue;
mod sandbox;
mod secrets;
mod smoke;
mod state;
mod submit;
mod tasks;
mod trust;
mod usage;
mod watch;
mod wrapped;
