//! `cardctl queue pause` and `resume`.

use serde::Serialize;

use crate::client;
use crate::context::Context;
use crate::failure::Failure;
use card_core::exit::Exit;

#[derive(Serialize)]
struct Document {
    paused: bool,
}

pub(super) async fn run(paused: bool, context: &Context) -> Result<Exit, Failure> {
    let client = client::connect(context).await?;
    client.set_paused(paused).await?;
    let printer = &context.printer;
    printer.data(&Document { paused })?;
    if paused {
        printer.text("paused: requests are accepted, but not processed")?;
        let resume = client::command(context, "queue resume");
        printer.say(format!("to resume: {}", printer.err().accent(resume)));
    } else {
        printer.text("resumed")?;
    }
    Ok(Exit::Done)
}
