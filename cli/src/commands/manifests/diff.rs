//! `cardctl manifests diff`.

use std::path::PathBuf;

use card_kube::diff::{Difference, DifferenceKind, FieldChange, diff};
use serde::Serialize;
use serde_json::Value;

use super::{ValuesArgs, kind, load_failure};
use crate::context::Context;
use crate::failure::Failure;
use crate::kubernetes::{connect, stamp, trouble};
use card_core::exit::Exit;

/// Show the changes that an apply would make in the cluster
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cardctl manifests diff --context cards
  cardctl manifests diff -f cards.yaml --exit-code")]
pub(super) struct DiffArgs {
    /// Compare the objects of a file, a directory or stdin (-) instead of rendering them from the flags
    #[arg(short, long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Exit with code 12 if there are differences
    #[arg(long)]
    pub(super) exit_code: bool,
    #[command(flatten)]
    pub(super) values: ValuesArgs,
}

pub(super) async fn run(args: DiffArgs, context: &Context) -> Result<Exit, Failure> {
    let desired = match &args.file {
        Some(file) => card_manifests::load(file).map_err(|error| load_failure(&error))?,
        None => args.values.objects(context)?,
    };
    differences(desired, &args, context).await
}

#[derive(Serialize)]
struct Document {
    context: String,
    namespace: String,
    differences: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    object: String,
    /// added, removed or changed
    how: &'static str,
    fields: Vec<Field>,
    conflicts: Vec<String>,
}

#[derive(Serialize)]
struct Field {
    field: String,
    live: Option<Value>,
    wanted: Option<Value>,
}

/// Compares objects with what is in the cluster.
async fn differences(mut desired: Vec<Value>, args: &DiffArgs, context: &Context) -> Result<Exit, Failure> {
    let cluster = connect(kind(context)?, context).await?;
    // As an apply would. Who may not read the secret sees the mark as a difference.
    let _ = stamp(&mut desired, &cluster).await;
    let found = diff(&cluster, &desired).await.map_err(|error| trouble::apply(&error))?;
    let printer = &context.printer;
    let paint = printer.out();
    let lines: Vec<_> = found.into_iter().map(Line::from).collect();
    for line in &lines {
        printer.text(match line.how {
            "added" => paint.good(format!("+ {}", line.object)),
            "removed" => paint.bad(format!("- {}", line.object)),
            _ => paint.warn(format!("~ {}", line.object)),
        })?;
        for field in &line.fields {
            let shown = |value: &Option<Value>| value.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string);
            printer.text(format!("    {}: {} → {}", field.field, shown(&field.live), shown(&field.wanted)))?;
        }
        for conflict in &line.conflicts {
            printer.text(format!("    {}", paint.bad(format!("in conflict: {conflict}"))))?;
        }
    }
    let place = format!("context {}, namespace {}", cluster.context().unwrap_or("-"), cluster.namespace());
    printer.text(match lines.len() {
        0 => format!("no differences from {place}"),
        1 => format!("1 object differs from {place}"),
        count => format!("{count} objects differ from {place}"),
    })?;
    let is_same = lines.is_empty();
    printer.data(&Document {
        context: cluster.context().unwrap_or("-").to_owned(),
        namespace: cluster.namespace().to_owned(),
        differences: lines,
    })?;
    Ok(if args.exit_code && !is_same { Exit::Differences } else { Exit::Done })
}

impl From<Difference> for Line {
    fn from(Difference { object, kind, conflicts }: Difference) -> Self {
        let (how, fields) = match kind {
            DifferenceKind::Added => ("added", Vec::new()),
            DifferenceKind::Removed => ("removed", Vec::new()),
            DifferenceKind::Changed(fields) => ("changed", fields),
        };
        let field = |FieldChange { field, live, wanted }: FieldChange| Field { field, live, wanted };
        Self {
            object: object.to_string(),
            how,
            fields: fields.into_iter().map(field).collect(),
            conflicts: conflicts.iter().map(ToString::to_string).collect(),
        }
    }
}
