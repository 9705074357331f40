//! A journal as its writer and its reader see it, and as somebody who would hide a line leaves it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use weir_journal::{FaultKind, Head, Journal, Limits, Mark, Report, verify};

const LIMITS: Limits =
    Limits { segment_bytes: 2_000, total_bytes: 1 << 30, age: Duration::from_secs(1 << 30) };

/// A journal of a hundred events in several segments, and its end.
fn written(directory: &Path) -> Mark {
    let mut journal = Journal::open(directory, LIMITS, None).unwrap();
    say(&mut journal, 0..100);
    journal.mark()
}

fn say(journal: &mut Journal, numbers: std::ops::Range<u32>) {
    for number in numbers {
        journal.append(format!(r#"{{"event_type":"alert","n":{number}}}"#).as_bytes());
        journal.write().unwrap();
    }
}

fn read(directory: &Path, anchors: &[Head]) -> Report {
    verify(directory, anchors, &mut |_, _| {}).unwrap()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The journal's lines with the file that each stands in.
fn lines(directory: &Path) -> Vec<(PathBuf, Vec<String>)> {
    let text = |path: &PathBuf| fs::read_to_string(path).unwrap();
    let split = |path: PathBuf| (text(&path).lines().map(String::from).collect(), path);
    files(directory).into_iter().map(split).map(|(lines, path)| (path, lines)).collect()
}

fn write(path: &Path, lines: &[String]) {
    fs::write(path, lines.iter().map(|line| line.clone() + "\n").collect::<String>()).unwrap();
}

#[test]
fn all_that_was_said_is_there_over_segments_and_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let mark = written(directory.path());
    let mut journal = Journal::open(directory.path(), LIMITS, Some(mark)).unwrap();
    // What was not committed is cut off, even with the segments that it began.
    say(&mut journal, 100..150);
    drop(journal);
    let mut journal = Journal::open(directory.path(), LIMITS, Some(mark)).unwrap();
    assert_eq!(journal.mark(), mark);
    say(&mut journal, 200..201);
    let report = read(directory.path(), &[mark.head, journal.mark().head]);
    assert!(report.is_whole(), "{:?}", report.faults);
    assert_eq!(
        (report.lines, report.first, report.head),
        (report.head.sequence, 1, journal.mark().head)
    );
    assert!(report.segments > 3 && report.removed == 0 && report.lost == 0);
    let said: Vec<String> =
        lines(directory.path()).into_iter().flat_map(|(_, lines)| lines).collect();
    let events = said.iter().filter(|line| line.contains("alert")).count();
    assert_eq!((events, said.len() as u64), (101, report.lines));
}

#[test]
fn each_line_that_is_removed_altered_or_moved_is_found() {
    let directory = tempfile::tempdir().unwrap();
    written(directory.path());
    let all = lines(directory.path());
    let last = all.len() - 1;
    for (place, (path, lines)) in all.iter().enumerate() {
        for number in 0..lines.len() {
            // The very end shows with an anchor alone, below.
            if place < last || number + 1 < lines.len() {
                let mut fewer = lines.clone();
                fewer.remove(number);
                write(path, &fewer);
                assert!(!read(directory.path(), &[]).is_whole(), "removed {path:?}:{number}");
            }
            let mut altered = lines.clone();
            altered[number] =
                altered[number].replace("alert", "allert").replace("segment", "segmend");
            write(path, &altered);
            let report = read(directory.path(), &[]);
            assert_eq!(report.faults[0].kind, FaultKind::Damaged, "{path:?}:{number}");
            if number > 0 {
                let mut moved = lines.clone();
                moved.swap(number, number - 1);
                write(path, &moved);
                assert!(!read(directory.path(), &[]).is_whole(), "moved {path:?}:{number}");
            }
            write(path, lines);
        }
    }
    assert!(read(directory.path(), &[]).is_whole());
}

#[test]
fn a_segment_that_is_gone_is_missed_wherever_it_stood() {
    let directory = tempfile::tempdir().unwrap();
    let mark = written(directory.path());
    let all = lines(directory.path());
    for (place, (path, lines)) in all.iter().enumerate() {
        fs::remove_file(path).unwrap();
        let report = read(directory.path(), &[mark.head]);
        let first = (all[..place].iter().map(|(_, lines)| lines.len()).sum::<usize>() + 1) as u64;
        let missing = FaultKind::Missing { from: first, to: first + lines.len() as u64 - 1 };
        let expected = if place + 1 < all.len() { missing } else { FaultKind::Anchor(mark.head) };
        let kinds: Vec<&FaultKind> = report.faults.iter().map(|fault| &fault.kind).collect();
        assert_eq!(kinds, [&expected], "{path:?}");
        write(path, lines);
    }
}

#[test]
fn who_cuts_the_end_off_or_writes_all_anew_is_found_by_what_others_noted() {
    let directory = tempfile::tempdir().unwrap();
    let mark = written(directory.path());
    let (path, mut rest) = lines(directory.path()).pop().unwrap();
    rest.pop();
    write(&path, &rest);
    assert!(read(directory.path(), &[]).is_whole());
    let report = read(directory.path(), &[mark.head]);
    assert_eq!(report.faults[0].kind, FaultKind::Anchor(mark.head));

    // The same number of lines, one of them another, and a chain that is whole.
    let forged = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(forged.path(), LIMITS, None).unwrap();
    say(&mut journal, 0..50);
    say(&mut journal, 51..52);
    say(&mut journal, 51..100);
    assert_eq!(journal.mark().head.sequence, mark.head.sequence);
    let report = read(forged.path(), &[mark.head]);
    assert_eq!(report.faults[0].kind, FaultKind::Anchor(mark.head));
    assert!(read(forged.path(), &[]).is_whole());
}

#[test]
fn what_is_too_old_or_too_much_goes_once_that_is_committed_and_the_journal_says_so() {
    for (limits, later) in [
        (Limits { total_bytes: 5_000, ..LIMITS }, Duration::ZERO),
        (Limits { age: Duration::from_secs(3_600), ..LIMITS }, Duration::from_secs(7_200)),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let mark = written(directory.path());
        let before = files(directory.path());
        let mut journal = Journal::open(directory.path(), limits, Some(mark)).unwrap();
        journal.retain(SystemTime::now() + later).unwrap();
        journal.write().unwrap();
        assert_eq!(files(directory.path()), before, "nothing goes before it is committed");
        // Both are whole: a crash may come in between.
        assert!(read(directory.path(), &[mark.head]).is_whole());
        journal.committed().unwrap();
        let after = files(directory.path());
        assert!(after.len() < before.len() && before.ends_with(&after), "{after:?}");
        let report = read(directory.path(), &[mark.head]);
        assert!(report.is_whole(), "{:?}", report.faults);
        assert_eq!(
            (report.removed, report.first),
            (report.first - 1, report.head.sequence + 1 - report.lines)
        );
        assert!(report.removed > 0);
        // One segment more than the journal says it removed.
        if after.len() > 1 {
            fs::remove_file(&after[0]).unwrap();
            assert!(!read(directory.path(), &[]).is_whole());
        }
    }
}

#[test]
fn what_the_disk_did_not_keep_is_missing_and_the_journal_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let mark = written(directory.path());
    let path = files(directory.path()).pop().unwrap();
    // The power fails: less is there than was committed, and the last line is torn.
    let length = fs::metadata(&path).unwrap().len();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length - 40).unwrap();
    assert!(read(directory.path(), &[]).unfinished);
    let mut journal = Journal::open(directory.path(), LIMITS, Some(mark)).unwrap();
    say(&mut journal, 300..310);
    let report = read(directory.path(), &[]);
    let lost = mark.head.sequence;
    let kinds: Vec<&FaultKind> = report.faults.iter().map(|fault| &fault.kind).collect();
    assert_eq!(kinds, [&FaultKind::Missing { from: lost, to: lost }]);
    assert_eq!((report.lost, report.unfinished), (1, false));
    // Everything is gone: the journal goes on behind it, and says so.
    let mark = journal.mark();
    drop(journal);
    files(directory.path()).iter().for_each(|path| fs::remove_file(path).unwrap());
    let mut journal = Journal::open(directory.path(), LIMITS, Some(mark)).unwrap();
    say(&mut journal, 400..401);
    let report = read(directory.path(), &[]);
    assert_eq!((report.lost, report.first), (mark.head.sequence, mark.head.sequence + 1));
    let missing = FaultKind::Missing { from: 1, to: mark.head.sequence };
    assert_eq!((report.faults.len(), &report.faults[0].kind), (1, &missing));
}

#[test]
fn a_damaged_journal_without_a_single_line_stops_no_start() {
    let directory = tempfile::tempdir().unwrap();
    let damaged = directory.path().join("00000000000000000005.journal");
    fs::write(&damaged, "nothing of ours\n").unwrap();
    let mut journal = Journal::open(directory.path(), LIMITS, None).unwrap();
    say(&mut journal, 0..3);
    assert_eq!(fs::read_to_string(&damaged).unwrap(), "nothing of ours\n");
    let report = read(directory.path(), &[]);
    assert_eq!(report.lines, 4);
    assert!(report.faults.iter().any(|fault| fault.kind == FaultKind::Damaged));
}
