//! Event files that became too large are put aside.

use std::io;

use super::Control;
use crate::event_file::EventFile;
use crate::progress::Progress;

type Place = Option<crate::progress::Mark>;

impl Control {
    /// Puts aside what is too large, once all of it is committed.
    pub(super) fn rotate(&mut self) {
        let Some(rotation) = self.plan.rotation.filter(|_| self.is_settled()) else { return };
        for which in [Which::Events, Which::Restricted] {
            if self.file(which).is_full(rotation.max_bytes)
                && let Err(error) = self.turn(which, rotation.keep)
            {
                self.turn_failed(which, &error);
            }
        }
    }

    /// Commits the places of files that were opened anew before their first line: a crash in between
    /// would repeat that.
    pub(super) fn note_places(&mut self) {
        if self.is_settled() {
            self.mark();
            // What can't be stored now is stored with the next batch.
            let _ = self.recorder.commit(&mut self.store);
        }
    }

    fn turn(&mut self, which: Which, keep: u32) -> io::Result<()> {
        let Some(next) = self.file(which).prepare()? else { return Ok(()) };
        let before = *which.place(&mut self.recorder.progress);
        *which.place(&mut self.recorder.progress) = Some(next.mark());
        if let Err(error) = self.recorder.commit(&mut self.store) {
            *which.place(&mut self.recorder.progress) = before;
            next.drop_it();
            return Err(io::Error::other(error));
        }
        let turned = self.file(which).turn(next, keep);
        if turned.is_err() {
            // The old file goes on; should this not be stored, it is continued at its end.
            self.mark();
            let _ = self.recorder.commit(&mut self.store);
        }
        turned
    }

    /// A file that can't be put aside grows on. It is said once, until one can be again.
    fn turn_failed(&mut self, which: Which, error: &io::Error) {
        let what = format!("error: events can't be put aside: {error}");
        let complaint = format!("{what}; {}; it grows on", self.file(which).name());
        if complaint != self.complaint {
            eprintln!("{complaint}");
            self.complaint = complaint;
        }
    }

    fn file(&mut self, which: Which) -> &mut EventFile {
        match which {
            Which::Events => &mut self.events,
            Which::Restricted => &mut self.restricted,
        }
    }
}

/// One of the two files.
#[derive(Clone, Copy)]
enum Which {
    Events,
    Restricted,
}

impl Which {
    /// Its committed place.
    fn place(self, progress: &mut Progress) -> &mut Place {
        match self {
            Which::Events => &mut progress.events,
            Which::Restricted => &mut progress.restricted,
        }
    }
}
