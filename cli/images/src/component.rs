//! The programs that run in a cluster, each with an image of its own.

/// A program of the workspace that has an image. `cardctl` has none: it talks to clusters and runs in none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Component {
    /// What it is in the platform.
    pub component: &'static str,
    /// Of the program: its binary, its package, and its image.
    pub name: &'static str,
    /// `org.opencontainers.image.description`.
    pub description: &'static str,
}

impl Component {
    /// Every one, in the order in which they are built.
    pub const ALL: [Self; 3] = [
        Self {
            component: "server",
            name: "card-server",
            description: "API, web page, and the simulated card issuer (serve, migrate, issuer)",
        },
        Self { component: "worker", name: "card-worker", description: "Processes accepted tasks" },
        Self {
            component: "generator",
            name: "card-generator",
            description: "One of several load generators (loadtest run --runner job)",
        },
    ];

    /// By the name of the binary or of the component.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name == name || known.component == name)
    }
}
