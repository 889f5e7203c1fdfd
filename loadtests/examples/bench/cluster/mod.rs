//! What the cluster engine adds to a platform of our own: a Postgres and a Redis, and processes that can be named.

mod processes;
mod services;

pub(crate) use processes::Process;

pub(crate) use services::Services;

use card_core::testing::PostgresOptions;

use crate::Failed;
use crate::platform::Platform;

impl Platform {
    /// So many servers and workers as processes, with more variables in their environment, on services of their own
    /// that end with it.
    pub(crate) async fn on_cluster(servers: usize, workers: usize, variables: &[(&str, &str)]) -> Result<Self, Failed> {
        Self::on_services(Services::start(PostgresOptions::tuned()), servers, workers, variables).await
    }

    /// As [`Self::on_cluster`], on these services.
    pub(crate) async fn on_services(
        services: Services,
        servers: usize,
        workers: usize,
        variables: &[(&str, &str)],
    ) -> Result<Self, Failed> {
        let (database, redis) = (services.postgres.url("postgres"), services.redis.url());
        let (servers, workers) = (servers.to_string(), workers.to_string());
        let arguments = ["-t", "processes", "--database", &database, "--redis", &redis];
        let numbers = ["--servers", &servers, "--workers", &workers];
        let mut platform = Self::start_as(&[&arguments[..], &numbers[..]].concat(), variables).await?;
        platform.services = Some(services);
        Ok(platform)
    }

    /// What the platform stands on; the embedded one on nothing.
    pub(crate) fn services(&self) -> Result<&Services, Failed> {
        self.services.as_ref().ok_or_else(|| "the embedded engine has no services".into())
    }

    /// Lets the ledger finish what preparing has left behind, so that it does not happen while something is measured.
    pub(crate) async fn rest(&self) -> Result<(), Failed> {
        match &self.services {
            Some(services) => services.rest().await,
            None => Ok(()),
        }
    }
}
