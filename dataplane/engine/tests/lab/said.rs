//! What a worker's report says, for comparing two of them.

use weir_engine::Report;

/// Everything that a report says, whatever the order in which it was found out.
pub fn said(report: &Report) -> Vec<String> {
    let mut said: Vec<String> = Vec::new();
    said.extend(report.flows.iter().map(|flow| format!("{flow:?}")));
    said.extend(report.sightings.iter().map(|seen| format!("{seen:?}")));
    said.extend(
        report.heard.iter().map(|heard| format!("{:?} {:?}", heard.seen.time, heard.seen.client)),
    );
    said.extend(report.findings.rows().iter().map(|finding| format!("{finding:?}")));
    said.extend(report.directions.iter().map(|direction| format!("{direction:?}")));
    said.extend(report.samples.rows().iter().map(|sample| format!("{sample:?}")));
    let unresolved = &report.unresolved;
    said.extend(unresolved.strays.rows().iter().map(|row| format!("{row:?}")));
    said.extend(unresolved.changes.rows().iter().map(|row| format!("{row:?}")));
    said.extend(unresolved.odd_sources.rows().iter().map(|row| format!("{row:?}")));
    said.extend(unresolved.complaints.rows().iter().map(|row| format!("{row:?}")));
    said.extend(unresolved.escapes.rows().iter().map(|row| format!("{row:?}")));
    said.extend(unresolved.homeless.rows().iter().map(|row| format!("{row:?}")));
    said.sort();
    said.push(format!(
        "{} and {} dropped, {} attributed, {:?}",
        report.dropped, unresolved.dropped, unresolved.attributed, report.evictions
    ));
    said
}

/// Both say the same.
pub fn agree(one: &[String], other: &[String]) {
    let only = |some: &[String], others: &[String]| -> Vec<String> {
        some.iter().filter(|said| !others.contains(said)).cloned().collect()
    };
    assert_eq!(only(one, other), only(other, one));
    assert_eq!(one.len(), other.len());
}
