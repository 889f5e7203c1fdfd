//! Long timelines, drawn with fewer points: what stands out stays.

/// Up to this many samples each is drawn.
const ALL: usize = 900;
/// Otherwise it is so many buckets, with at most four points each.
const BUCKETS: usize = 240;

/// A value at a point of time, in seconds; `None` is a gap.
pub type Point = (f64, Option<f64>);

/// The same line with at most 960 points: of each bucket the first, the smallest, the largest and the last value stay, so
/// that no peak gets lost and the line looks as if every point were drawn. A bucket of nothing but gaps is a gap.
pub(super) fn thin(points: &[Point]) -> Vec<Point> {
    if points.len() <= ALL {
        return points.to_vec();
    }
    points.chunks(points.len().div_ceil(BUCKETS)).flat_map(standouts).collect()
}

fn standouts(bucket: &[Point]) -> Vec<Point> {
    let known: Vec<(usize, f64)> =
        bucket.iter().enumerate().filter_map(|(at, (_, value))| Some((at, (*value)?))).collect();
    let smallest = known.iter().min_by(|a, b| a.1.total_cmp(&b.1));
    let largest = known.iter().max_by(|a, b| a.1.total_cmp(&b.1));
    let mut kept: Vec<usize> =
        [known.first(), smallest, largest, known.last()].into_iter().flatten().map(|(at, _)| *at).collect();
    kept.sort_unstable();
    kept.dedup();
    match kept.as_slice() {
        [] => bucket.first().copied().into_iter().collect(),
        _ => kept.into_iter().map(|at| bucket[at]).collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_short_line_stays_as_it_is() {
        let points: Vec<Point> = (0..ALL).map(|at| (at as f64, Some(1.0))).collect();
        assert_eq!(thin(&points), points);
    }

    #[test]
    fn a_long_gap_stays_a_gap() {
        let points: Vec<Point> =
            (0..7200).map(|at| (f64::from(at), (!(3000..4000).contains(&at)).then_some(1.0))).collect();
        let gap = thin(&points).iter().filter(|(at, value)| value.is_none() && (3000.0..4000.0).contains(at)).count();
        assert!(gap > 20);
    }

    proptest! {
        #[test]
        fn a_long_line_gets_short_and_keeps_its_extremes(
            values in proptest::collection::vec(proptest::option::of(0.0f64..1e6), 901..4000)
        ) {
            let points: Vec<Point> = values.iter().enumerate().map(|(at, value)| (at as f64, *value)).collect();
            let drawn = thin(&points);
            prop_assert!(drawn.len() <= 4 * BUCKETS);
            prop_assert!(drawn.windows(2).all(|pair| pair[0].0 < pair[1].0));
            prop_assert!(drawn.iter().all(|point| points.contains(point)));
            for best in [f64::max, f64::min] {
                let extreme = |points: &[Point]| points.iter().filter_map(|point| point.1).reduce(best);
                prop_assert_eq!(extreme(&drawn), extreme(&points));
            }
        }
    }
}
