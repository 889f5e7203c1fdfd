//! `cardctl up` into a cluster.

use super::UpArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::kubernetes::Kind;

pub(super) async fn run(_args: UpArgs, _kind: Kind, _context: &Context) -> Result<Exit, Failure> {
    Err(Failure::internal("not yet"))
}
