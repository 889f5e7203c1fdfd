use jiff::Timestamp;

use super::container::Place;
use super::line::split;

fn at(text: &str) -> Option<Timestamp> {
    Some(text.parse().unwrap())
}

#[test]
fn a_stream_that_is_taken_up_again_tells_nothing_twice_and_loses_nothing() {
    let mut place = Place::default();
    let written = ["10:00:00.1", "10:00:00.7", "10:00:00.7", "10:00:00.7", "10:00:01.2"];
    let times: Vec<_> = written.iter().map(|time| at(&format!("2026-01-01T{time}Z"))).collect();
    // It breaks after two of three lines of the very same time.
    assert!(times[..3].iter().all(|time| place.is_new(*time)));
    assert_eq!(place.resume(), at("2026-01-01T10:00:00Z"), "rounded down, or lines are lost");
    let told: Vec<bool> = times.iter().map(|time| place.is_new(*time)).collect();
    assert_eq!(told, [false, false, false, true, true]);
    // And once more, at once.
    place.resume();
    assert_eq!(times.iter().filter(|time| place.is_new(**time)).count(), 0);
}

#[test]
fn the_time_before_a_line_is_taken_off_and_the_rest_is_plain() {
    let (time, text) = split(b"2026-11-27T16:22:01.123456789Z \x1b[31mred\x1b[0m and \x07bell\n");
    assert_eq!((time, text.as_str()), (at("2026-11-27T16:22:01.123456789Z"), "red and bell"));
    assert_eq!(split(b"no time here\n"), (None, "no time here".to_owned()));
    assert_eq!(split(b"2026-11-27T16:22:01Z \n").1, "");
    assert_eq!(split(b"2026-11-27T16:22:01Z\n"), (at("2026-11-27T16:22:01Z"), String::new()));
    assert_eq!(split(b"2026-11-27T16:22:01Z \xff\xfe\n").1, "\u{fffd}\u{fffd}");
}

proptest::proptest! {
    #[test]
    fn whatever_is_written_nothing_that_a_terminal_obeys_is_left(bytes: Vec<u8>) {
        let (_, text) = split(&bytes);
        assert!(text.chars().all(|letter| letter == '\t' || !letter.is_control()));
    }
}
