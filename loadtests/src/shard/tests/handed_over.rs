//! Shards as lines, through a log that cuts, repeats and mixes.

use proptest::prelude::*;

use super::{many, parts};
use crate::moment::Moment;
use crate::shard::Shard;
use crate::shard::wire::{Assembly, Line, Piece, Progress, pieces, read};

/// What is read of these lines of a log.
fn assembled(lines: &[String]) -> Assembly {
    let mut assembly = Assembly::default();
    for line in lines {
        if let Some(Line::Shard(piece)) = read(line) {
            assembly.take(piece);
        }
    }
    assembly
}

fn lines(shard: &Shard) -> Vec<String> {
    pieces(shard.clone()).unwrap().iter().map(|line| serde_json::to_string(line).unwrap()).collect()
}

/// One that takes several lines.
fn large() -> Shard {
    let mut shard = parts(&many(), 2).remove(1);
    let course = shard.courses[0].clone();
    shard.courses = vec![course; 40];
    // What does not repeat does not get smaller.
    for (n, course) in (1..).zip(&mut shard.courses) {
        (0..900_u64).for_each(|value| course.steady.accept.record(value * value * n % 7_919 + n));
    }
    shard
}

#[test]
fn a_shard_comes_through_a_log_as_it_was() {
    let shard = large();
    let lines = lines(&shard);
    assert!(lines.len() > 2, "{}", lines.len());
    assert!(lines.iter().all(|line| line.len() < 16 * 1024 && !line.contains('\n')));
    let assembly = assembled(&lines);
    assert_eq!((assembly.is_complete(), assembly.open()), (true, Ok(shard)));
}

#[test]
fn pieces_that_are_missing_or_changed_are_noticed() {
    let mut lines = lines(&large());
    let all = lines.len();
    let last = lines.pop().unwrap();
    let assembly = assembled(&lines);
    assert_eq!((assembly.is_complete(), assembly.progress()), (false, Some((all - 1, all as u32))));
    let message = assembly.open().unwrap_err().to_string();
    assert_eq!(message, format!("the generator's results are damaged: {} of {all} pieces were read", all - 1));
    let Some(Line::Shard(mut piece)) = read(&last) else { panic!("{last}") };
    piece.data = piece.data.replacen(|c: char| c.is_ascii_lowercase(), "Z", 1);
    lines.push(serde_json::to_string(&Line::Shard(piece)).unwrap());
    assert!(assembled(&lines).open().unwrap_err().to_string().contains("are damaged"));
    assert!(assembled(&[]).open().is_err());
}

#[test]
fn a_shard_without_room_keeps_the_figures_of_the_run() {
    let mut shard = large();
    let second = shard.timeline[1].clone();
    shard.timeline = vec![second; 10];
    let whole = shard.clone();
    shard.thin();
    assert!(shard.timeline.iter().all(|taken| taken.accept.is_none() && taken.sample.accept_p95.is_some()));
    assert_eq!(shard.courses, whole.courses);
    assert!(lines(&shard).len() <= lines(&whole).len());
}

#[test]
fn other_text_is_not_ours() {
    for line in
        ["", "{", "listening on 0.0.0.0", r#"{"type":"other"}"#, r#"{"v":1,"level":"warn"}"#, "{\"type\":\"shard\"}"]
    {
        assert_eq!(read(line), None, "{line}");
    }
    let progress = Progress::of(3, &Moment { offered: 7, ..Moment::default() }, 0.0);
    let line = serde_json::to_string(&Line::Progress(Box::new(progress.clone()))).unwrap();
    assert_eq!(read(&line), Some(Line::Progress(Box::new(progress.clone()))));
    let later = serde_json::to_string(&Line::Progress(Box::new(Progress { v: 2, ..progress }))).unwrap();
    assert_eq!(read(&later), None, "another version's");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_order_of_pieces_and_how_often_they_come_is_no_matter(
        order in prop::collection::vec(0_usize..1000, 0..60),
        noise in prop::collection::vec("\\PC{0,40}", 0..10),
    ) {
        let shard = large();
        let lines = lines(&shard);
        let mut log: Vec<String> = order.iter().map(|at| lines[at % lines.len()].clone()).collect();
        log.extend(noise);
        log.extend(lines);
        prop_assert_eq!(assembled(&log).open(), Ok(shard));
    }

    #[test]
    fn no_line_makes_the_reader_panic(text in "\\PC*", part in any::<u32>(), parts in any::<u32>(), data in "[A-Za-z0-9+/=]{0,60}") {
        let _ = read(&text);
        let mut assembly = Assembly::default();
        assembly.take(Piece { v: 1, generator: 1, part, parts, sha256: text, data });
        let _ = assembly.open();
    }
}
