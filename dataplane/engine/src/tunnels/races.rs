//! The table under its writer and a reader at once: every order of their effects under
//! the model checker (`RUSTFLAGS="--cfg loom"`), and two real threads.

use weir_wire::Address;

use super::{FTeid, Found, Row, RowFlags, TunnelWriter};
use crate::Nanos;

fn end(teid: u32) -> FTeid {
    FTeid { address: Address::v4([10, 0, 1, 1]), teid }
}

/// A row all of whose fields follow from one number, so that a torn one shows.
fn row(teid: u32, n: u64) -> Row {
    Row {
        end: end(teid),
        flags: RowFlags(RowFlags::LOCAL.0),
        since: Nanos(n),
        until: Nanos::MAX,
        session: n as u32,
        ue4: n as u32,
        ue6: n,
    }
}

fn is_whole(row: &Row) -> bool {
    let n = row.ue6;
    row.since == Nanos(n) && (row.session, row.ue4) == (n as u32, n as u32)
}

/// Changes all fields to those of another number.
fn renew(writer: &mut TunnelWriter, slot: super::Slot, n: u64) {
    writer.update(slot, |old| *old = row(old.end.teid, n));
}

#[cfg(loom)]
mod loom_model {
    use ::loom::thread;

    use super::*;

    /// Every order in which a thread is interrupted at most three times: more takes
    /// minutes and, of two threads, showed nothing else.
    fn model(run: impl Fn() + Sync + Send + 'static) {
        let mut builder = ::loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(run);
    }

    #[test]
    fn a_row_is_old_or_new_and_never_both() {
        model(|| {
            let mut writer = TunnelWriter::new(4, 7).unwrap();
            let slot = writer.insert(row(1, 1)).unwrap();
            let reader = writer.reader();
            let reading = thread::spawn(move || {
                let probe = reader.probe(&end(1));
                match reader.find(&end(1), probe, Nanos(9)) {
                    Found::Live(_, row) => assert!(is_whole(&row) && row.end == end(1)),
                    // Busy at every try: the session machine is asked.
                    Found::Other => {}
                    Found::Unknown => panic!("a tunnel that is there looked unknown"),
                }
            });
            renew(&mut writer, slot, 2);
            reading.join().unwrap();
        });
    }

    #[test]
    fn what_comes_and_goes_beside_hides_no_tunnel() {
        model(|| {
            let mut writer = TunnelWriter::new(4, 7).unwrap();
            let beside = writer.insert(row(2, 1)).unwrap();
            writer.insert(row(1, 1)).unwrap();
            let reader = writer.reader();
            let reading = thread::spawn(move || {
                let probe = reader.probe(&end(1));
                assert!(matches!(reader.find(&end(1), probe, Nanos(9)), Found::Live(..)));
            });
            writer.remove(beside);
            writer.insert(row(3, 2)).unwrap();
            reading.join().unwrap();
        });
    }

    #[test]
    fn a_place_that_is_used_again_gives_nobody_anothers_row() {
        model(|| {
            let mut writer = TunnelWriter::new(1, 7).unwrap();
            let slot = writer.insert(row(1, 1)).unwrap();
            let reader = writer.reader();
            let reading = thread::spawn(move || {
                let probe = reader.probe(&end(1));
                if let Found::Live(_, row) = reader.find(&end(1), probe, Nanos(9)) {
                    assert!(row.end == end(1) && row.ue6 == 1);
                }
            });
            writer.remove(slot);
            writer.insert(row(2, 2)).unwrap();
            reading.join().unwrap();
        });
    }
}

#[cfg(not(loom))]
mod threads {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// Changes of the writer while another core reads.
    const CHANGES: u64 = 2_000_000;

    #[test]
    fn two_cores_never_see_a_torn_row_or_miss_a_tunnel() {
        let mut writer = TunnelWriter::new(64, 7).unwrap();
        let slot = writer.insert(row(1, 0)).unwrap();
        let reader = writer.reader();
        let done = AtomicBool::new(false);
        let (reads, busy) = std::thread::scope(|scope| {
            let reading = scope.spawn(|| {
                let probe = reader.probe(&end(1));
                let (mut reads, mut busy, mut latest) = (0_u64, 0_u64, 0);
                while !done.load(Ordering::Relaxed) || reads == 0 {
                    match reader.find(&end(1), probe, Nanos(CHANGES)) {
                        Found::Live(_, row) => {
                            assert!(is_whole(&row), "torn: {row:?}");
                            assert!(row.ue6 >= latest, "back in time: {row:?}");
                            latest = row.ue6;
                        }
                        Found::Other => busy += 1,
                        Found::Unknown => panic!("a tunnel that is there looked unknown"),
                    }
                    reads += 1;
                }
                (reads, busy)
            });
            for n in 1..=CHANGES {
                renew(&mut writer, slot, n);
                if n % 64 == 0 {
                    // Others come and go near it.
                    let other = writer.insert(row(2 + (n / 64 % 40) as u32, n)).unwrap();
                    writer.remove(other);
                }
            }
            done.store(true, Ordering::Relaxed);
            reading.join().unwrap()
        });
        assert!(reads > busy, "{reads} reads, {busy} of them busy");
    }
}
