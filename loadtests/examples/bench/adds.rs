//! Orders of `add` through HTTP as fast as they are answered, by wrk, with the operator's token.

use std::io::Write;

use crate::Failed;
use crate::accepts::SCRIPT;
use crate::platform::Platform;
use crate::wrk::{self, Measured};

pub(crate) struct Adds {
    url: String,
    tokens: tempfile::NamedTempFile,
}

impl Adds {
    pub(crate) fn to(platform: &Platform) -> Result<Self, Failed> {
        let mut tokens = tempfile::NamedTempFile::new()?;
        writeln!(tokens, "{}", platform.token)?;
        Ok(Self { url: platform.url.clone(), tokens })
    }

    pub(crate) async fn send(&self, connections: u32, seconds: u32) -> Result<Measured, Failed> {
        let tokens = self.tokens.path().to_string_lossy();
        let script = [SCRIPT, &tokens, "/api/v1/tasks", r#"{"kind":"add","payload":{"x":20,"y":22}}"#];
        wrk::run(&self.url, connections, seconds, &script).await
    }
}
