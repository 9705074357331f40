//! What a driver's time stamp means in nanoseconds since the epoch.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use weir_dpdk_sys as sys;

/// How long the first look at a device's clock takes. Its rate is known to some 50 ppm after it.
const FIRST_LOOK: Duration = Duration::from_millis(20);

/// A clock's rate is not judged over less: the readings' own doubt would show.
const SHORTEST_BASE: u64 = 10_000_000;

/// Where a frame's time comes from.
#[derive(Debug)]
pub(crate) enum FrameClock {
    /// Frames carry none.
    Absent,
    /// net_pcap: the capture's time, microseconds since the epoch.
    EpochMicroseconds,
    /// Hardware: ticks of a clock in the device.
    Device(DeviceClock),
}

impl FrameClock {
    /// The clock of a started port whose frames do carry a time stamp.
    pub(crate) fn of(port: u16, driver: &str) -> Self {
        if driver == "net_pcap" {
            return Self::EpochMicroseconds;
        }
        DeviceClock::calibrate(port).map_or(Self::Absent, Self::Device)
    }

    /// Nanoseconds since the epoch.
    pub(crate) fn nanoseconds(&self, stamp: u64) -> Option<u64> {
        match self {
            Self::Absent => None,
            Self::EpochMicroseconds => stamp.checked_mul(1_000),
            Self::Device(clock) => Some(clock.line.nanoseconds(stamp)),
        }
    }

    /// Compares a device's clock with the system's anew.
    pub(crate) fn recalibrate(&mut self) {
        if let Self::Device(clock) = self {
            clock.recalibrate();
        }
    }
}

/// A device's clock, and how it went between the last two looks at it.
#[derive(Debug)]
pub(crate) struct DeviceClock {
    port: u16,
    last: Reading,
    line: Line,
}

impl DeviceClock {
    fn calibrate(port: u16) -> Option<Self> {
        let first = Reading::take(port)?;
        std::thread::sleep(FIRST_LOOK);
        let last = Reading::take(port)?;
        Some(Self { port, last, line: Line::through(first, last)? })
    }

    fn recalibrate(&mut self) {
        let Some(now) = Reading::take(self.port) else { return };
        if let Some(line) = Line::through(self.last, now) {
            self.line = line;
            self.last = now;
        }
    }
}

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug)]
struct Reading {
    ticks: u64,
    nanoseconds: u64,
}

impl Reading {
    /// None when the device does not let its clock be read.
    fn take(port: u16) -> Option<Self> {
        let mut ticks = 0;
        let before = system_nanoseconds()?;
        // SAFETY: the port is started and writes one integer.
        if unsafe { sys::rte_eth_read_clock(port, &mut ticks) } != 0 {
            return None;
        }
        let after = system_nanoseconds()?;
        Some(Self { ticks, nanoseconds: before / 2 + after / 2 })
    }
}

fn system_nanoseconds() -> Option<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(now.as_nanos()).ok()
}

/// The straight line from ticks to nanoseconds through two readings.
#[derive(Clone, Copy, Debug)]
struct Line {
    from: Reading,
    /// Nanoseconds per tick, 32 bits of them behind the point.
    rate: u64,
}

impl Line {
    /// None when either clock stood still, went back or the readings are too close.
    fn through(first: Reading, second: Reading) -> Option<Self> {
        let ticks = second.ticks.wrapping_sub(first.ticks);
        let elapsed = second.nanoseconds.checked_sub(first.nanoseconds)?;
        if elapsed < SHORTEST_BASE || ticks == 0 || ticks > u64::MAX / 2 {
            return None;
        }
        let rate = u64::try_from((u128::from(elapsed) << 32) / u128::from(ticks)).ok()?;
        Some(Self { from: second, rate })
    }

    /// Ticks may lie before the reading, and the counter may wrap.
    fn nanoseconds(self, ticks: u64) -> u64 {
        let since = ticks.wrapping_sub(self.from.ticks).cast_signed();
        let elapsed = (i128::from(since) * i128::from(self.rate)) >> 32;
        // A hostile stamp can't be told from a wild one; both end somewhere, and nothing panics.
        self.from.nanoseconds.wrapping_add_signed(elapsed as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: u64 = 1_700_000_000_000_000_000;

    fn reading(ticks: u64, nanoseconds: u64) -> Reading {
        Reading { ticks, nanoseconds: EPOCH + nanoseconds }
    }

    #[test]
    fn ticks_become_nanoseconds_since_the_epoch() {
        // A 250 MHz clock: 4 ns a tick.
        let line = Line::through(reading(1_000, 0), reading(250_001_000, 1_000_000_000)).unwrap();
        assert_eq!(line.nanoseconds(250_001_000), EPOCH + 1_000_000_000);
        assert_eq!(line.nanoseconds(250_001_250), EPOCH + 1_000_001_000);
        assert_eq!(line.nanoseconds(1_000), EPOCH);
    }

    #[test]
    fn a_rate_that_is_no_whole_number_drifts_less_than_a_nanosecond_a_second() {
        // 156.25 MHz and 3 ppm fast.
        let ticks = 156_250_469;
        let line = Line::through(reading(0, 0), reading(ticks, 1_000_000_000)).unwrap();
        let later = line.nanoseconds(2 * ticks);
        assert!(later.abs_diff(EPOCH + 2_000_000_000) <= 1, "{later}");
    }

    #[test]
    fn a_counter_that_wraps_goes_on() {
        let line = Line::through(reading(u64::MAX - 999_999_999, 0), reading(0, 1_000_000_000));
        assert_eq!(line.unwrap().nanoseconds(500), EPOCH + 1_000_000_500);
    }

    #[test]
    fn a_clock_that_stands_or_runs_back_gives_no_line() {
        let second = 1_000_000_000;
        assert!(Line::through(reading(5, 0), reading(5, second)).is_none());
        assert!(Line::through(reading(5, 0), reading(4, second)).is_none());
        assert!(Line::through(reading(5, second), reading(6, 0)).is_none());
        assert!(Line::through(reading(5, 0), reading(6, 100)).is_none());
    }

    #[test]
    fn no_stamp_panics() {
        let line = Line::through(reading(0, 0), reading(1, 4_000_000_000)).unwrap();
        for stamp in [0, 1, u64::MAX / 2, u64::MAX / 2 + 1, u64::MAX] {
            line.nanoseconds(stamp);
        }
        assert_eq!(FrameClock::EpochMicroseconds.nanoseconds(u64::MAX), None);
        assert_eq!(FrameClock::EpochMicroseconds.nanoseconds(7), Some(7_000));
        assert_eq!(FrameClock::Absent.nanoseconds(7), None);
    }
}
