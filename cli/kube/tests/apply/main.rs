//! Apply, diff, prune and down against a real cluster: `CARDCTL_TEST_KUBECONFIG` names its kubeconfig; without it nothing
//! here runs. Each test has a namespace of its own, which `down` takes away again.

mod flow;
mod place;
mod scaled;
mod speed;
