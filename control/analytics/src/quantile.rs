//! What is in the middle of values, and how far the others are from it.

/// The value below which a share of sorted values lies, between two of them if need be; 0 of none.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * sorted.len().saturating_sub(1) as f64;
    let (low, part) = (place.floor() as usize, place.fract());
    match (sorted.get(low), sorted.get(low + 1)) {
        (Some(low), Some(high)) => low + (high - low) * part,
        (Some(only), None) => *only,
        _ => 0.0,
    }
}

/// The median of sorted values, and the median of their distances from it.
pub(crate) fn middle(sorted: &[f64]) -> (f64, f64) {
    let median = quantile(sorted, 0.5);
    let mut distances: Vec<f64> = sorted.iter().map(|value| (value - median).abs()).collect();
    distances.sort_by(f64::total_cmp);
    (median, quantile(&distances, 0.5))
}
