//! The real client, TLS, proxies and plugins against servers on loopback.

mod busy;
mod fuzz;
mod kubectl;
mod plugin;
mod proxy;
mod servers;
mod tls;

use std::path::{Path, PathBuf};
use std::time::Duration;

use self::servers::Secure;
use crate::cluster::{Cluster, ClusterError, Connect};

/// A kubeconfig in a directory of its own; the context is called `it`.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn config(&self) -> PathBuf {
        self.path().join("config")
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// A program of the shell.
    fn script(&self, name: &str, text: &str) -> String {
        use std::os::unix::fs::PermissionsExt;
        let path = self.file(name, &format!("#!/bin/sh\n{text}\n"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// `cluster` and `user` are flow mappings of YAML.
    fn write(&self, cluster: &str, user: &str) {
        let text = format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: c\n  cluster: {cluster}\nusers:\n- name: u\n  user: {user}\n\
             contexts:\n- name: it\n  context: {{cluster: c, user: u}}\ncurrent-context: it\n"
        );
        std::fs::write(self.config(), text).unwrap();
    }

    fn of(server: &Secure, more: &str, user: &str) -> Self {
        let place = Self::new();
        place.write(
            &format!("{{server: '{}', certificate-authority-data: {}{more}}}", server.url, server.authority),
            user,
        );
        place
    }

    fn options(&self) -> Connect {
        Connect {
            kubeconfig: Some(self.config()),
            context: Some("it".to_owned()),
            namespace: "cards".to_owned(),
            owner: crate::Owner::new("cardctl"),
            allowed: vec!["it".to_owned()],
            timeout: Some(Duration::from_secs(10)),
        }
    }

    async fn connect(&self) -> Result<Cluster, ClusterError> {
        self.connect_in(&[]).await
    }

    /// With these variables of the environment.
    async fn connect_in(&self, variables: &[(&str, &str)]) -> Result<Cluster, ClusterError> {
        let known: Vec<(String, String)> =
            variables.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect();
        let variable = move |asked: &str| Some(known.iter().find(|(name, _)| name == asked)?.1.clone());
        Cluster::connect_with(&self.options(), &variable).await
    }

    async fn error(&self) -> ClusterError {
        match self.connect().await {
            Ok(_) => panic!("it connected"),
            Err(error) => error,
        }
    }
}
