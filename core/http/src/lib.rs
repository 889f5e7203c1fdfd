//! The one place where HTTP clients are made, so that what every one of them has to get right is decided once: what goes
//! through a proxy, where a redirect may lead, how long a connection may take, and what may go without TLS. The lint
//! `disallowed_methods` (`clippy.toml`) keeps others from making one elsewhere.
//!
//! There is one function for each purpose. The caller adds time limits of its own, and builds. Two clients are not of
//! reqwest and are made where they are used: the one for a cluster's API (`card-kube`), which follows a kubeconfig, and
//! the one that carries a load's orders (`card-loadtests`).

mod host;
mod plain;

use std::time::Duration;

pub use self::host::{host, is_this_machine};
pub use self::plain::{NoHost, PlainHttp};

use reqwest::redirect::{Attempt, Policy};
use reqwest::{ClientBuilder, Url};

/// A connection inside takes no longer.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// One to somewhere in the world.
const FAR_CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// A server of somebody else that says nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(60);
/// As many redirects as others follow.
const REDIRECTS: usize = 10;

/// To a part of the platform: its API, its issuer.
///
/// Never through a proxy: those of the environment are for browsing, and what is measured, proved and trusted is the
/// platform. Never redirected: a redirected POST would be another request than the one that was meant, and a token would
/// go where nobody sent it.
pub fn platform(program: &str, to: &Url) -> ClientBuilder {
    let builder = new(program).no_proxy().redirect(Policy::none()).connect_timeout(CONNECT_LIMIT).tcp_nodelay(true);
    // Spares a start without TLS the reading of the machine's root certificates, which it may not even have.
    if to.scheme() == "http" { builder.tls_certs_only([]) } else { builder }
}

/// To a server without TLS on this machine, as tests and measurements have them.
pub fn local() -> ClientBuilder {
    new("card-local").no_proxy().redirect(Policy::none()).tls_certs_only([])
}

/// To a server of somebody else: a registry, a download.
///
/// Through the proxies of the environment, unless it is this machine: a proxy would see in clear what was to stay here, or
/// reach another machine in its place. Redirects are followed, but not from TLS to none, and not from elsewhere to this
/// machine.
pub fn elsewhere(program: &str, to: &Url) -> ClientBuilder {
    let builder = new(program).connect_timeout(FAR_CONNECT_LIMIT).read_timeout(SILENCE);
    let is_here = is_this_machine(to);
    let builder = builder.redirect(Policy::custom(move |attempt| follow(attempt, is_here)));
    if is_here { builder.no_proxy() } else { builder }
}

#[expect(clippy::disallowed_methods, reason = "this is the place for it")]
fn new(program: &str) -> ClientBuilder {
    reqwest::Client::builder().user_agent(format!("{program}/{}", env!("CARGO_PKG_VERSION")))
}

fn follow(attempt: Attempt<'_>, is_here: bool) -> reqwest::redirect::Action {
    let refusal = if attempt.previous().len() > REDIRECTS {
        "it redirects too often"
    } else if attempt.url().scheme() != "https" && attempt.previous().iter().any(|url| url.scheme() == "https") {
        "it redirects from https to an address without TLS"
    } else if !is_here && is_this_machine(attempt.url()) {
        "it redirects to this machine"
    } else {
        return attempt.follow();
    };
    attempt.error(refusal)
}

#[cfg(test)]
mod tests;
