//! From what was heard of each generator to the one result.

use card_loadtests::result::Report;
use card_loadtests::shard::{MergeError, Missing, merge};

use super::Generator;
use crate::failure::Failure;
use card_core::exit::Exit;

/// The result, not judged. One that left nothing readable is missing; if all are, there is no result.
pub(super) fn of(generators: &[Generator], cause: Option<&str>) -> Result<Report, Failure> {
    let (mut shards, mut missing) = (Vec::new(), Vec::new());
    for (number, generator) in (1..).zip(generators) {
        match generator.assembly.open() {
            Ok(shard) => shards.push(shard),
            Err(damaged) => {
                let ended = generator.ended.as_deref().unwrap_or("no results from it");
                let why = match generator.assembly.progress() {
                    None => ended.to_owned(),
                    Some(_) => format!("{ended}; {damaged}"),
                };
                let last_lines = generator.last_lines.iter().cloned().collect();
                missing.push(Missing { number, why, last_lines });
            }
        }
    }
    merge(shards, &missing, cause).map_err(|error| failure(&error, &missing))
}

fn failure(error: &MergeError, missing: &[Missing]) -> Failure {
    let failure = Failure::new("generators", Exit::Inconclusive, error.to_string());
    let failure = missing.iter().fold(failure, |failure, missing| {
        let failure = failure.evidence(format!("generator {}: {}", missing.number, missing.why));
        missing.last_lines.iter().fold(failure, |failure, line| failure.evidence(format!("  {line}")))
    });
    match error {
        MergeError::Version { .. } => failure.fix("use a generator image of the same version as cardctl"),
        _ => failure.fix("see the messages above, then run it again"),
    }
}
