//! Against a real cluster: `CARDCTL_TEST_KUBECONFIG` names its kubeconfig; without it nothing here runs.
//!
//! Each test has a namespace of its own, which it deletes. `CARDCTL_TEST_IMAGE` is an image with a shell and the usual small
//! programs, which the nodes have or can pull. `CARDCTL_TEST_RECORD` names a directory in which what was read is kept.

mod broken;
mod forward;
mod logs;
mod place;
mod run;
mod together;
