use super::*;

fn series(name: &'static str, largest: f64) -> Series {
    Series { name, style: "backlog", points: vec![(0.0, Some(0.0)), (10.0, Some(largest))], stepped: false }
}

fn sheet(title: &str, charts: Vec<Vec<Series>>) -> Sheet {
    let column = |heading: &str| Column { heading: heading.to_owned(), finding: "found".to_owned() };
    let target = Some(("target".to_owned(), 50.0));
    Sheet {
        title: title.to_owned(),
        lead: "how".to_owned(),
        end: 10.0,
        stretches: vec![(0.0, "calm".to_owned()), (5.0, "rush".to_owned())],
        over: 8.0,
        columns: vec![column("one"), column("other")],
        rows: vec![
            Row {
                title: "Backlog, tasks",
                height: 100.0,
                target: target.clone(),
                charts: charts.clone(),
                notes: vec![],
            },
            Row { title: "Workers", height: 100.0, target, charts, notes: vec!["at most 7".to_owned()] },
        ],
    }
}

#[test]
fn columns_share_an_axis_and_rows_the_labels_of_time() {
    let drawn = sheet("a", vec![vec![series("few", 10.0)], vec![series("many", 1000.0)]]).draw();
    // Each of the four charts is labelled up to 1,000, and the target lies at the same height in each.
    assert_eq!(drawn.matches(">1,000</text>").count(), 4, "{drawn}");
    assert_eq!(drawn.matches(r#"<line class="bound" x1="0" x2="100%" y1="115" y2="115">"#).count(), 4, "{drawn}");
    // Below the lowest row alone; the stretches have their names above the highest.
    assert_eq!(drawn.matches(">10 s</text>").count(), 2, "{drawn}");
    assert_eq!(drawn.matches(">rush</text>").count(), 2, "{drawn}");
    assert_eq!(drawn.matches(">at most 7</text>").count(), 1, "{drawn}");
}

#[test]
fn a_legend_is_drawn_where_there_is_more_than_one_line() {
    let one = sheet("a", vec![vec![series("alone", 1.0)]; 2]).draw();
    assert!(!one.contains(">alone</text>"), "{one}");
    let two = sheet("a", vec![vec![series("wanted", 1.0), series("there", 1.0)]; 2]).draw();
    assert_eq!((two.matches(">wanted</text>").count(), two.matches(">there</text>").count()), (2, 2), "{two}");
}

#[test]
fn a_file_needs_nothing_from_anywhere_and_text_is_text() {
    let drawn = sheet("a < b & c", vec![vec![series("x", f64::NAN)], vec![series("y", 1.0)]]).draw();
    assert!(drawn.contains("a &lt; b &amp; c") && !drawn.contains("a < b"), "{drawn}");
    assert!(!drawn.contains("NaN") && !drawn.contains("data-read") && !drawn.contains("url("), "{drawn}");
}
