//! The binaries that images are made of.

/// A binary of the workspace that has an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Component {
    /// What it is in the platform.
    pub component: &'static str,
    /// Of the binary, of its package, and of its image.
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
            description: "API, web page, and the simulated card bureau (serve, migrate, issuer)",
        },
        Self { component: "worker", name: "card-worker", description: "Works off accepted tasks" },
        Self {
            component: "generator",
            name: "cardctl",
            description: "The command line; load tests in a cluster run it",
        },
    ];

    /// By the name of the binary or of the component.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name == name || known.component == name)
    }
}
