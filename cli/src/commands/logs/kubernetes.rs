//! `cardctl logs` of a platform in a cluster.

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::kubernetes::Kind;

pub(super) async fn run(_args: super::LogsArgs, _kind: Kind, _context: &Context) -> Result<Exit, Failure> {
    Err(Failure::internal("not yet"))
}
