//! `card-server issuer`: the simulated card issuer as a process of its own.

use std::net::SocketAddr;
use std::time::Duration;

use card_core::process::{Exit, NotReady, Part, listen};
use card_issuer::{Behaviour, OperatorToken};
use card_worker::program::ProcessFlags;
use clap::Args;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Run the simulated card issuer alone
///
/// Workers use it if worker.issuer.url is its address. The settings under issuer give its behaviour, and PUT /behaviour
/// changes it: with CARDCTL_OPERATOR_TOKEN_FILE or CARDCTL_OPERATOR_TOKEN only for the operator, without for anyone.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct IssuerArguments {
    /// Address to listen on; port 0 for any free port
    #[arg(long, value_name = "ADDRESS", env = "CARDCTL_ISSUER_ADDRESS", default_value = "127.0.0.1:7500")]
    address: SocketAddr,
    #[command(flatten)]
    process: ProcessFlags,
}

const EXAMPLES: &str = "\
Examples:
  card-server issuer                            listen on 127.0.0.1:7500
  card-server issuer --address 0.0.0.0:7500     listen on every interface, in a container
  card-server issuer --address 127.0.0.1:0 --announce";

/// It keeps its own time; this is for when it does not.
const GRACE: Duration = Duration::from_secs(10);

pub(super) async fn run(arguments: IssuerArguments) -> Result<Exit, NotReady> {
    let begun = arguments.process.begin(Part::Issuer)?;
    let operator = begun.environment.value("CARDCTL_OPERATOR_TOKEN")?.map(|token| OperatorToken::new(&token));
    let at = arguments.address;
    let refused = |error: std::io::Error| NotReady::new(format!("{at}: {error}; give another --address"));
    let listener = listen(at, false).and_then(TcpListener::from_std).map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    let stop = CancellationToken::new();
    let serving = card_issuer::serve(listener, Behaviour::from(&begun.settings.issuer), operator, stop.clone());
    let mut serving = AbortOnDropHandle::new(tokio::spawn(serving));
    begun.ready(address);
    tokio::select! {
        () = begun.stop.asked() => {}
        _ = &mut serving => {
            tracing::error!("the issuer exited unexpectedly");
            return Ok(Exit::Internal);
        }
    }
    tracing::info!("stopping");
    stop.cancel();
    let drained = timeout(GRACE, serving).await.is_ok();
    tracing::info!(drained, "stopped");
    Ok(Exit::Done)
}
