//! Plots, as SVG.

use plotters::prelude::*;

use super::table::time;
use crate::interval::Estimate;

const WIDTH: u32 = 900;
const LINE: u32 = 26;
const POINT: RGBColor = RGBColor(31, 111, 139);
const WHISKER: RGBColor = RGBColor(120, 132, 142);

/// A line of a plot: what it is about, its point, and from where to where its whisker goes.
struct Mark {
    name: String,
    point: f64,
    whisker: [f64; 2],
}

/// Shares with their intervals, one a line; none if it can't be drawn.
pub(super) fn shares(rows: &[(String, Estimate)]) -> Option<String> {
    let mark = |(name, it): &(String, Estimate)| Mark {
        name: name.clone(),
        point: it.value,
        whisker: [it.low, it.high],
    };
    draw(rows.iter().map(mark).collect(), [0.0, 1.0], |share| format!("{share:.1}"))
}

/// Times from the median to the 95th percentile, on a scale of powers of ten of seconds.
pub(super) fn latencies(rows: &[(String, [f64; 2])]) -> Option<String> {
    let power = |seconds: f64| seconds.max(0.01).log10();
    let mark = |(name, [half, most]): &(String, [f64; 2])| Mark {
        name: name.clone(),
        point: power(*half),
        whisker: [power(*half), power(*most)],
    };
    let said = |power: &f64| time(Some(10_f64.powf(*power)));
    draw(rows.iter().map(mark).collect(), [-2.0, 6.0], said)
}

fn draw(
    mut marks: Vec<Mark>,
    [from, to]: [f64; 2],
    said: impl Fn(&f64) -> String,
) -> Option<String> {
    // A plot counts upwards, a table downwards.
    marks.reverse();
    let mut svg = String::new();
    {
        let height = 60 + LINE * marks.len() as u32;
        let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin(10)
            .x_label_area_size(30)
            .y_label_area_size(170)
            .build_cartesian_2d(from..to, (0..marks.len()).into_segmented())
            .ok()?;
        let name = |place: &SegmentValue<usize>| match place {
            SegmentValue::CenterOf(at) => marks.get(*at).map_or("", |mark| &mark.name).to_owned(),
            _ => String::new(),
        };
        chart
            .configure_mesh()
            .disable_y_mesh()
            .x_label_formatter(&said)
            .y_labels(marks.len())
            .y_label_formatter(&name)
            .draw()
            .ok()?;
        for (at, mark) in marks.iter().enumerate() {
            let y = SegmentValue::CenterOf(at);
            let ends = mark.whisker.map(|x| (x, y.clone()));
            let whisker = PathElement::new(ends.to_vec(), WHISKER.stroke_width(3));
            chart.draw_series([whisker]).ok()?;
            chart.draw_series([Circle::new((mark.point, y), 5, POINT.filled())]).ok()?;
        }
        area.present().ok()?;
    }
    Some(svg)
}
