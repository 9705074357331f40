//! `weir events verify` over a journal that somebody was at.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use weir_journal::{Head, Journal, Limits};

const LIMITS: Limits =
    Limits { segment_bytes: 2_000, total_bytes: 1 << 30, age: Duration::from_secs(1 << 30) };

/// A state directory with a journal of forty alerts, and its end.
fn state() -> (tempfile::TempDir, Head) {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&directory.path().join("journal/open"), LIMITS, None).unwrap();
    for number in 0..40 {
        journal.append(format!(r#"{{"event_type":"alert","n":{number}}}"#).as_bytes());
        journal.write().unwrap();
    }
    let head = journal.mark().head;
    (directory, head)
}

fn verify(directory: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(["events", "verify"]).arg(directory).args(more);
    command.output().unwrap()
}

fn second_file(directory: &Path) -> PathBuf {
    let files = fs::read_dir(directory.join("journal/open")).unwrap();
    let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files[1].clone()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_whole_journal_is_told_with_its_end_and_an_altered_one_with_the_line() {
    let (directory, head) = state();
    let noted = head.to_string();
    let whole = verify(directory.path(), &["--anchor", &noted]);
    assert_eq!(whole.status.code(), Some(0), "{}", text(&whole.stderr));
    let said = text(&whole.stdout);
    assert!(said.contains(&noted) && said.contains("nothing was removed or altered"), "{said}");
    assert_eq!(text(&whole.stderr), "");

    let file = second_file(directory.path());
    let before = fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = before.lines().collect();
    fs::write(&file, [&lines[..2], &lines[4..]].concat().join("\n") + "\n").unwrap();
    let found = verify(directory.path(), &["--anchor", &noted]);
    assert_eq!(found.status.code(), Some(1));
    let complaint = text(&found.stderr);
    let first: u64 = lines[2].split(' ').next().unwrap().parse().unwrap();
    let expected =
        format!("error: lines {first} to {} are missing; {}:3", first + 1, file.display());
    assert!(complaint.contains(&expected), "{complaint}");

    fs::write(&file, before.replacen("alert", "a1ert", 1)).unwrap();
    let found = verify(directory.path(), &["--json"]);
    assert_eq!(found.status.code(), Some(1));
    let object: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(
        (&object["whole"], &object["journals"][0]["fault_count"]),
        (&false.into(), &1.into())
    );
    assert_eq!(object["journals"][0]["faults"][0]["what"], "the line is damaged");
}

#[test]
fn ends_that_others_keep_show_that_the_journal_was_cut_off() {
    let (directory, head) = state();
    let kept = directory.path().join("eve.json");
    let stats = format!(r#"{{"event_type":"stats","weir":{{"site":"a","journal":"{head}"}}}}"#);
    fs::write(&kept, format!("{{\"event_type\":\"flow\",\"weir\":{{}}}}\n{stats}\n")).unwrap();
    let anchors = ["--anchors", kept.to_str().unwrap()];
    assert_eq!(verify(directory.path(), &anchors).status.code(), Some(0));
    // The last line goes, and the chain before it is whole.
    let files = fs::read_dir(directory.path().join("journal/open")).unwrap();
    let last = files.map(|entry| entry.unwrap().path()).max().unwrap();
    let before = fs::read_to_string(&last).unwrap();
    let end = before.trim_end().rfind('\n').map_or(0, |end| end + 1);
    fs::write(&last, &before[..end]).unwrap();
    let unanchored = verify(directory.path(), &[]);
    assert_eq!(unanchored.status.code(), Some(0));
    assert!(text(&unanchored.stderr).contains("note: that the end was cut off shows only"));
    let found = verify(directory.path(), &anchors);
    assert_eq!(found.status.code(), Some(1));
    assert!(text(&found.stderr).contains("was cut off or written anew"), "{}", text(&found.stderr));
}

#[test]
fn where_no_journal_is_that_is_said_and_is_no_success() {
    let directory = tempfile::tempdir().unwrap();
    let absent = verify(directory.path(), &[]);
    assert_eq!(absent.status.code(), Some(1));
    assert!(text(&absent.stderr).contains("name weir-control's state directory"));
    fs::create_dir_all(directory.path().join("journal/open")).unwrap();
    let empty = verify(directory.path(), &[]);
    assert_eq!(empty.status.code(), Some(1));
    assert!(text(&empty.stderr).contains("all of it was removed"));
    assert_eq!(verify(directory.path(), &["--anchor", "7"]).status.code(), Some(2));
    let none = directory.path().join("eve.json");
    fs::write(&none, "{}\n").unwrap();
    let refused = verify(directory.path(), &["--anchors", none.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2));
}
