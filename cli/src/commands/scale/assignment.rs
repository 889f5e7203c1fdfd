//! `workers=4`.

use crate::failure::Failure;
use crate::supervisor::{SERVERS_MAX, WORKERS_MAX};
use card_core::exit::Exit;

/// How many there are to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Wanted {
    pub(super) workers: Option<usize>,
    pub(super) servers: Option<usize>,
}

const NAMES: [&str; 2] = ["workers", "servers"];

impl Wanted {
    /// # Errors
    /// One is not understood, out of bounds, or there twice.
    pub(super) fn read(words: &[String]) -> Result<Self, Failure> {
        let mut wanted = Self::default();
        for word in words {
            let (name, number) = word
                .split_once('=')
                .ok_or_else(|| usage(format!("{word:?} is not an assignment")).fix("cardctl scale workers=4"))?;
            let (place, max) = match name {
                "workers" => (&mut wanted.workers, WORKERS_MAX),
                "servers" => (&mut wanted.servers, SERVERS_MAX),
                _ => return Err(unknown(name, number)),
            };
            let number = number.parse().ok().filter(|number| (1..=max).contains(number));
            let number = number.ok_or_else(|| {
                usage(format!("{word}: must be 1 to {max} {name}")).fix(format!("cardctl scale {name}={max}"))
            })?;
            if place.replace(number).is_some() {
                return Err(usage(format!("{name} is given twice")).fix(format!("cardctl scale {name}={number}")));
            }
        }
        Ok(wanted)
    }
}

fn usage(message: String) -> Failure {
    Failure::new("usage", Exit::Usage, message)
}

fn unknown(name: &str, number: &str) -> Failure {
    let failure = usage(format!("{name:?} can't be scaled"));
    let nearest = NAMES.into_iter().min_by_key(|known| strsim::damerau_levenshtein(known, name));
    match nearest.filter(|nearest| strsim::damerau_levenshtein(nearest, name) <= 3) {
        Some(nearest) => failure.fix(format!("did you mean {nearest}={number}?")),
        None => failure.fix("use workers=N and servers=N"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Wanted, Failure> {
        Wanted::read(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn assignments_are_read() {
        assert_eq!(read("workers=4").unwrap(), Wanted { workers: Some(4), servers: None });
        assert_eq!(read("servers=2 workers=64").unwrap(), Wanted { workers: Some(64), servers: Some(2) });
    }

    #[test]
    fn a_mistake_names_what_was_meant() {
        for (line, fix) in [
            ("worker=4", "did you mean workers=4?"),
            ("sevrers=2", "did you mean servers=2?"),
            ("replicas=2", "use workers=N and servers=N"),
            ("workers", "cardctl scale workers=4"),
            ("workers=0", "cardctl scale workers=64"),
            ("workers=65", "cardctl scale workers=64"),
            ("servers=many", "cardctl scale servers=16"),
            ("workers=1 workers=2", "cardctl scale workers=2"),
        ] {
            let failure = read(line).unwrap_err();
            assert_eq!((failure.exit, failure.fix.as_deref()), (Exit::Usage, Some(fix)), "{line}");
        }
    }
}
