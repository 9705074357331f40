//! Bursts at a rate, by a steady clock.

use std::time::{Duration, Instant};

/// Frames that are offered at a time.
pub const AT_ONCE: usize = 32;

/// How many bursts a generator that looks for a rate may be behind and make up for it; what the kernel
/// took from it beyond that is gone, since no wire would send it all at once.
pub const BEHIND: Option<u32> = Some(4);

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Bursts that were asked for.
    pub bursts: u64,
    /// The time that they took.
    pub took: Duration,
}

/// Asks for a burst of [`AT_ONCE`] frames as often as `rate`, frames a second, says, for so long. It
/// makes up for what it is late, if `behind` is given only so many bursts of it.
///
/// # Errors
/// What the burst says.
pub fn paced(
    rate: f64,
    span: Duration,
    behind: Option<u32>,
    mut burst: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<Pace> {
    let gap = Duration::from_secs_f64(AT_ONCE as f64 / rate);
    let began = Instant::now();
    let (mut due, mut bursts) = (began, 0);
    loop {
        let now = Instant::now();
        if now.duration_since(began) >= span {
            return Ok(Pace { bursts, took: now.duration_since(began) });
        }
        if now < due {
            std::hint::spin_loop();
            continue;
        }
        if let Some(bursts) = behind {
            due = due.max(now.checked_sub(gap * bursts).unwrap_or(now));
        }
        due += gap;
        burst()?;
        bursts += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_kept_and_what_was_late_is_not_made_up_for_at_once() {
        let span = Duration::from_millis(50);
        let pace = paced(320_000.0, span, BEHIND, || Ok(())).unwrap();
        // Of 500; a machine that is busy else may take some.
        assert!((100..=501).contains(&pace.bursts), "{pace:?}");
        let mut first = true;
        let pace = paced(320_000.0, span, BEHIND, || {
            if std::mem::take(&mut first) {
                std::thread::sleep(Duration::from_millis(40));
            }
            Ok(())
        })
        .unwrap();
        assert!(pace.bursts <= 106, "{pace:?}");
        let mut first = true;
        let pace = paced(320_000.0, span, None, || {
            if std::mem::take(&mut first) {
                std::thread::sleep(Duration::from_millis(20));
            }
            Ok(())
        })
        .unwrap();
        assert!(pace.bursts >= 300, "{pace:?}");
    }
}
