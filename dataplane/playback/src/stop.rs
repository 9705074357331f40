//! The wish to stop: by signal, or because something failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Shared by all threads; once asked for, it stays.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// A wish that SIGINT and SIGTERM express.
    ///
    /// # Errors
    /// If the system does not let signals be caught.
    pub fn by_signal() -> std::io::Result<Self> {
        let stop = Self::default();
        for signal in [SIGINT, SIGTERM] {
            // The second signal ends the process at once.
            signal_hook::flag::register_conditional_default(signal, stop.0.clone())?;
            signal_hook::flag::register(signal, stop.0.clone())?;
        }
        // Control reads its files again on SIGHUP; here it means nothing.
        signal_hook::flag::register(SIGHUP, Arc::default())?;
        Ok(stop)
    }

    /// Asks all threads that look at it to end.
    pub fn ask(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether anybody asked.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
