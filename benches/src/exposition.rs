//! Metrics as Prometheus reads them: sums of series, and quantiles of a histogram.

/// A scrape.
#[derive(Clone, Debug, Default)]
pub struct Exposition {
    /// Each series' name, its labels as they are written, its value.
    series: Vec<(String, String, f64)>,
}

/// A histogram's buckets: the upper bound, and how many are not above it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    buckets: Vec<(f64, f64)>,
    sum: f64,
}

impl Exposition {
    /// What a body in the text format says.
    pub fn of(body: &str) -> Self {
        let read = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let labels = labels.trim_end_matches('}');
            Some((name.to_owned(), labels.to_owned(), value.parse().ok()?))
        };
        let lines = body.lines().filter(|line| !line.starts_with('#'));
        Self { series: lines.filter_map(read).collect() }
    }

    /// The sum of a metric's series that have all these labels.
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let is_asked = |(known, of, _): &&(String, String, f64)| {
            known == name && labels.iter().all(|label| of.split(',').any(|one| one == *label))
        };
        self.series.iter().filter(is_asked).map(|series| series.2).sum()
    }

    /// A histogram without labels.
    pub fn histogram(&self, name: &str) -> Histogram {
        let bucket = format!("{name}_bucket");
        let bound = |labels: &str| {
            let bound = labels.strip_prefix("le=\"")?.strip_suffix('"')?;
            if bound == "+Inf" { Some(f64::INFINITY) } else { bound.parse().ok() }
        };
        let of_it = self.series.iter().filter(|series| series.0 == bucket);
        let mut buckets: Vec<(f64, f64)> =
            of_it.filter_map(|(_, labels, count)| Some((bound(labels)?, *count))).collect();
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        Histogram { buckets, sum: self.sum(&format!("{name}_sum"), &[]) }
    }
}

impl Histogram {
    /// How many there are.
    pub fn count(&self) -> f64 {
        self.buckets.last().map_or(0.0, |bucket| bucket.1)
    }

    /// Their mean; not a number if there are none.
    pub fn mean(&self) -> f64 {
        self.sum / self.count()
    }

    /// The least bound that this share of them is not above; not a number if there are none.
    pub fn bound(&self, quantile: f64) -> f64 {
        let rank = quantile * self.count();
        let found = self.buckets.iter().find(|bucket| bucket.1 >= rank && bucket.1 > 0.0);
        found.map_or(f64::NAN, |bucket| bucket.0)
    }

    /// The quantile as `histogram_quantile` tells it: as if a bucket's were spread evenly in it.
    pub fn quantile(&self, quantile: f64) -> f64 {
        let (rank, bound) = (quantile * self.count(), self.bound(quantile));
        let below = self.buckets.iter().take_while(|bucket| bucket.0 < bound).last();
        let (from, before) = below.copied().unwrap_or((0.0, 0.0));
        let upto = self.buckets.iter().find(|bucket| bucket.0 == bound).map_or(0.0, |it| it.1);
        if bound.is_infinite() {
            from
        } else {
            from + (bound - from) * (rank - before) / (upto - before)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "\
# HELP took_seconds How long.
# TYPE took_seconds histogram
took_seconds_bucket{le=\"0.01\"} 50
took_seconds_bucket{le=\"0.02\"} 90
took_seconds_bucket{le=\"0.04\"} 100
took_seconds_bucket{le=\"+Inf\"} 100
took_seconds_sum 1.25
took_seconds_count 100
seen_total{port=\"a\",queue=\"0\"} 3
seen_total{port=\"a\",queue=\"none\"} 4
seen_totals 9
";

    #[test]
    fn series_are_added_up_by_their_labels() {
        let metrics = Exposition::of(BODY);
        assert_eq!(metrics.sum("seen_total", &[]), 7.0);
        assert_eq!(metrics.sum("seen_total", &["port=\"a\"", "queue=\"none\""]), 4.0);
        assert_eq!(metrics.sum("seen_total", &["port=\"b\""]), 0.0);
    }

    #[test]
    fn quantiles_are_within_their_bucket() {
        let took = Exposition::of(BODY).histogram("took_seconds");
        assert_eq!((took.count(), took.mean()), (100.0, 0.0125));
        assert_eq!((took.bound(0.5), took.bound(0.51), took.bound(0.99)), (0.01, 0.02, 0.04));
        assert!((took.quantile(0.5) - 0.01).abs() < 1e-9);
        assert!((took.quantile(0.99) - 0.038).abs() < 1e-9, "{}", took.quantile(0.99));
        let none = Exposition::of("").histogram("took_seconds");
        assert!(none.bound(0.5).is_nan() && none.quantile(0.5).is_nan() && none.mean().is_nan());
    }
}
