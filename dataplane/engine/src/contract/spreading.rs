//! How a port's frames come to its workers.

/// By what frames are spread over queues or workers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(u64)]
pub enum Spreading {
    /// By nothing: one queue, or a capture that the sensor reads itself.
    #[default]
    Whole,
    /// The device, by the TEID of GTP-U.
    Teid,
    /// The device, by the innermost addresses, alike in both directions.
    Innermost,
    /// The device, by the outermost addresses and ports, alike in both directions: one gNB and one
    /// UPF meet in one queue.
    Outer,
    /// The device or its kernel, by what it is not asked.
    Unasked,
    /// Receive threads of ours, by tunnel and flow.
    Reshard,
}

impl Spreading {
    /// Every kind, in the order of its code.
    pub const ALL: [Spreading; 6] = [
        Spreading::Whole,
        Spreading::Teid,
        Spreading::Innermost,
        Spreading::Outer,
        Spreading::Unasked,
        Spreading::Reshard,
    ];

    /// The metric label `spreading`.
    pub const fn name(self) -> &'static str {
        match self {
            Spreading::Whole => "whole",
            Spreading::Teid => "teid",
            Spreading::Innermost => "innermost",
            Spreading::Outer => "outer",
            Spreading::Unasked => "unasked",
            Spreading::Reshard => "reshard",
        }
    }

    /// From the word of a port's block; of no kind is none.
    pub fn of_word(word: u64) -> Self {
        Self::ALL.get(word as usize).copied().unwrap_or_default()
    }
}

/// Whether N4 can be lost for users' packets on its way to a worker.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[repr(u64)]
pub enum N4Way {
    /// It can: both come by the same queues.
    #[default]
    Shared,
    /// The device gives N4 and ICMP a queue of their own.
    Queue,
    /// Receive threads give N4 rings of its own; the device's queues are shared.
    Ring,
}

impl N4Way {
    /// Every way, in the order of its code.
    pub const ALL: [N4Way; 3] = [N4Way::Shared, N4Way::Queue, N4Way::Ring];

    /// The metric label `n4`.
    pub const fn name(self) -> &'static str {
        match self {
            N4Way::Shared => "shared",
            N4Way::Queue => "queue",
            N4Way::Ring => "ring",
        }
    }

    /// From the word of a port's block; of no kind is shared.
    pub fn of_word(word: u64) -> Self {
        Self::ALL.get(word as usize).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_the_block() {
        for kind in Spreading::ALL {
            assert_eq!(Spreading::of_word(kind as u64), kind);
        }
        for way in N4Way::ALL {
            assert_eq!(N4Way::of_word(way as u64), way);
        }
        assert_eq!(Spreading::of_word(u64::MAX), Spreading::Whole);
        assert_eq!(N4Way::of_word(99), N4Way::Shared);
    }
}
