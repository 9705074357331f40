//! The table as a picture: a bar for each subject on a logarithmic scale, since the slowest takes a
//! thousand times as long as the fastest, with the spread of its rounds over its end.

use std::fmt::Write;

use crate::outcome::Section;

const WIDTH: f64 = 960.0;
/// Where bars begin, and where the scale ends.
const LEFT: f64 = 290.0;
const RIGHT: f64 = 880.0;
const TOP: f64 = 64.0;
const LINE: f64 = 20.0;
const BAR: f64 = 12.0;

const WEIR: &str = "#1f6f8b";
const PEER: &str = "#b0b7bd";
const SPREAD: &str = "#22313f";

/// An SVG of all rows that were measured.
pub fn svg(sections: &[Section]) -> String {
    let rows = || sections.iter().flat_map(|section| &section.rows);
    let greatest = rows().map(|row| row.ns.max()).filter(|ns| ns.is_finite()).fold(10.0, f64::max);
    let decades = greatest.log10().ceil();
    // What takes less than a nanosecond has no bar.
    let x = |ns: f64| LEFT + (RIGHT - LEFT) * (ns.max(1.0).log10() / decades).clamp(0.0, 1.0);
    let titled = sections.iter().filter(|section| !section.rows.is_empty());
    let lines = rows().count() as f64 + 1.5 * titled.clone().count() as f64;
    let height = TOP + LINE * (lines + 1.0);

    let mut body = String::new();
    for decade in 0..=decades as i32 {
        let ns = 10_f64.powi(decade);
        line(&mut body, (x(ns), TOP - 8.0), (x(ns), height - LINE), "#e3e7ea", 1.0);
        text(&mut body, x(ns), TOP - 14.0, "middle", 11, &format!("{ns:.0}"));
    }
    let mut y = TOP;
    for section in titled {
        y += 1.5 * LINE;
        text(&mut body, 12.0, y - 6.0, "start", 13, &section.title);
        for row in &section.rows {
            let middle = y + LINE / 2.0;
            text(&mut body, LEFT - 8.0, middle + 4.0, "end", 12, &row.what);
            y += LINE;
            let (median, from, to) = (row.ns.median(), row.ns.min(), row.ns.max());
            if !median.is_finite() {
                continue;
            }
            let (colour, width) = (if row.is_peer { PEER } else { WEIR }, x(median) - LEFT);
            let (top, bar) = (middle - BAR / 2.0, BAR);
            put(
                &mut body,
                format_args!(
                    r#"<rect x="{LEFT}" y="{top:.1}" width="{width:.1}" height="{bar}" fill="{colour}"/>"#
                ),
            );
            line(&mut body, (x(from), middle), (x(to), middle), SPREAD, 2.0);
            let said = if median < 100.0 { format!("{median:.1}") } else { format!("{median:.0}") };
            text(&mut body, x(to) + 6.0, middle + 4.0, "start", 11, &said);
        }
    }
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">
<title>Nanoseconds per packet</title>
<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>
<text x="12" y="22" font-size="15">Nanoseconds per packet, medians; dark lines from the least to the greatest round</text>
<rect x="{LEFT}" y="28" width="12" height="10" fill="{WEIR}"/><text x="308" y="37" font-size="11">Weir</text>
<rect x="350" y="28" width="12" height="10" fill="{PEER}"/><text x="368" y="37" font-size="11">others</text>
{body}</svg>
"##
    )
}

fn put(body: &mut String, element: std::fmt::Arguments<'_>) {
    // A string takes whatever is written.
    let _ = writeln!(body, "{element}");
}

fn line(body: &mut String, from: (f64, f64), to: (f64, f64), colour: &str, width: f64) {
    let ((x1, y1), (x2, y2)) = (from, to);
    put(
        body,
        format_args!(
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{colour}" stroke-width="{width}"/>"#
        ),
    );
}

fn text(body: &mut String, x: f64, y: f64, anchor: &str, size: u32, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    put(
        body,
        format_args!(
            r##"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" font-size="{size}" fill="#22313f">{words}</text>"##
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Outcome, Row};
    use crate::rounds::Samples;

    fn samples(values: &[f64]) -> Samples {
        let mut samples = Samples::new();
        values.iter().for_each(|value| samples.push(*value));
        samples
    }

    #[test]
    fn bars_are_as_long_as_the_logarithm_and_peers_are_grey() {
        let mut outcome = Outcome::default();
        outcome.section("Readers");
        outcome.row(Row { what: "a & b".into(), ns: samples(&[10.0]), ..Row::default() });
        let theirs = samples(&[1_000.0, 1_000.0, 10_000.0]);
        outcome.row(Row { what: "peer".into(), ns: theirs, is_peer: true, ..Row::default() });
        outcome.row(Row { what: "never measured".into(), ..Row::default() });
        let svg = svg(outcome.sections());
        let bars: Vec<_> = svg.lines().filter(|line| line.contains(r#"height="12""#)).collect();
        assert_eq!(bars.len(), 2, "{svg}");
        // Four decades: a quarter and three quarters of 590.
        assert!(bars[0].contains(r#"width="147.5""#) && bars[0].contains(WEIR), "{}", bars[0]);
        assert!(bars[1].contains(r#"width="442.5""#) && bars[1].contains(PEER), "{}", bars[1]);
        assert!(svg.contains("a &amp; b") && svg.contains("never measured"));
    }
}
