//! Spreading frames over queues: what is asked of a device, and what is obtained.

use std::fmt;

use weir_dpdk_sys as sys;

use crate::error::errno_text;
use crate::port::{PortConfig, PortInner};
use crate::queue::QueueId;
use crate::rule::{Fate, Match, Refusal, Rule, Upper};

/// By what a device spreads frames over its queues.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Spreading {
    /// By nothing: there is one queue.
    Whole,
    /// By the TEID of GTP-U.
    Teid,
    /// By the innermost addresses, alike in both directions.
    Innermost,
    /// By the outermost addresses and ports, alike in both directions.
    Outer,
    /// By what the driver was not asked: a kernel's fan-out, a device's own default.
    Unasked,
}

/// What was obtained of a device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Steering {
    /// By what frames are spread.
    pub spreading: Spreading,
    /// The queue that N4 alone has, and ICMP if the device can tell it.
    pub n4_queue: Option<QueueId>,
    /// What was asked for and refused, and why.
    pub refused: Vec<String>,
}

impl fmt::Display for Steering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.spreading {
            Spreading::Whole => "one queue of users' frames",
            Spreading::Teid => "spread by TEID",
            Spreading::Innermost => "spread by the innermost addresses",
            Spreading::Outer => "spread by the outermost addresses and ports",
            Spreading::Unasked => "spread as its driver does",
        })?;
        match self.n4_queue {
            Some(queue) => write!(f, "; N4 on queue {} of its own", queue.0)?,
            None => f.write_str("; N4 shares the queues")?,
        }
        self.refused.iter().try_for_each(|why| write!(f, "; {why}"))
    }
}

/// A hash that a device may be asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Hash {
    pub(crate) spreading: Spreading,
    /// DPDK's bits; 0 asks for none.
    pub(crate) bits: u64,
}

impl Hash {
    /// What is worth asking of a device that offers these bits, the best first; the last is none.
    pub(crate) fn choices(queues: u16, offered: u64) -> Vec<Self> {
        if queues < 2 {
            return vec![Self { spreading: Spreading::Whole, bits: 0 }];
        }
        let outer = (sys::WEIR_RSS_IP | sys::WEIR_RSS_UDP | sys::WEIR_RSS_TCP) & offered;
        let innermost = outer | sys::WEIR_RSS_INNERMOST;
        let teid = outer | sys::WEIR_RSS_GTPU;
        let choices = [
            // First of all: both directions of a user meet, and what is in no tunnel is spread too.
            Self { spreading: Spreading::Innermost, bits: innermost },
            Self { spreading: Spreading::Teid, bits: teid },
            Self { spreading: Spreading::Outer, bits: outer },
        ];
        choices
            .into_iter()
            .filter(|hash| outer != 0 && hash.bits & !offered == 0)
            .chain([Self { spreading: Spreading::Unasked, bits: 0 }])
            .collect()
    }
}

/// The table from hash to queue, as long as `size` says, without the queues from `queues` on.
pub(crate) fn table(size: u16, queues: u16) -> Vec<sys::rte_eth_rss_reta_entry64> {
    let mut table = vec![sys::rte_eth_rss_reta_entry64::default(); usize::from(size).div_ceil(64)];
    for place in 0..usize::from(size) {
        let group = &mut table[place / 64];
        group.mask |= 1 << (place % 64);
        group.reta[place % 64] = (place % usize::from(queues)) as u16;
    }
    table
}

impl PortInner {
    /// Configures and starts the device with the best spreading that it takes.
    pub(crate) fn steer(
        &mut self,
        config: &PortConfig,
        info: &sys::rte_eth_dev_info,
    ) -> Result<Steering, crate::PortError> {
        let mut steering = self.bring_up(config, config.queues, info)?;
        if config.n4_ports.is_empty() {
            return Ok(steering);
        }
        let rules = Match::n4(&config.n4_ports, config.is_tagged);
        let probe = Rule::validate(self.id(), rules[0], &Fate::Queue(0));
        if let Err(Refusal { is_deaf: true, .. }) = probe {
            steering.refused.push("the driver takes no rules (rte_flow)".into());
            return Ok(steering);
        }
        if let Some(why) = self.spread_by_rule(config, &mut steering) {
            steering.refused.push(why);
        }
        if config.queues >= info.max_rx_queues {
            steering.refused.push("no queue is left for N4".into());
            return Ok(steering);
        }
        // A queue must be there before a rule can name it.
        self.take_down();
        let mut wider = self.bring_up(config, config.queues + 1, info)?;
        match self.give_n4_a_queue(config, info, &rules, &mut wider) {
            Ok(()) => {
                if wider.spreading == Spreading::Unasked && config.queues == 1 {
                    wider.spreading = Spreading::Whole;
                }
                if let Some(why) = self.spread_by_rule(config, &mut wider) {
                    wider.refused.push(why);
                }
                Ok(wider)
            }
            Err(why) => {
                self.take_down();
                let mut steering = self.bring_up(config, config.queues, info)?;
                steering.refused.push(format!("N4 has no queue of its own: {why}"));
                if let Some(why) = self.spread_by_rule(config, &mut steering) {
                    steering.refused.push(why);
                }
                Ok(steering)
            }
        }
    }

    /// Sends N4, and if possible ICMP, to the last queue and nothing else there.
    fn give_n4_a_queue(
        &mut self,
        config: &PortConfig,
        info: &sys::rte_eth_dev_info,
        rules: &[Match],
        steering: &mut Steering,
    ) -> Result<(), String> {
        let own = config.queues;
        if info.reta_size > 0 {
            let mut table = table(info.reta_size, own);
            // SAFETY: the port is started, and the table as long as the device says.
            let result = unsafe {
                sys::rte_eth_dev_rss_reta_update(self.id().0, table.as_mut_ptr(), info.reta_size)
            };
            if result != 0 {
                return Err(format!("users' frames can't be kept off it: {}", errno_text(result)));
            }
        } else if steering.spreading != Spreading::Whole {
            return Err("users' frames can't be kept off it: no table of queues".into());
        }
        for about in rules {
            let rule = Rule::create(self.id(), *about, &Fate::Queue(own));
            self.rules.push(rule.map_err(|refusal| refusal.why)?);
        }
        steering.n4_queue = Some(QueueId(own));
        for about in Match::of_both(Upper::Icmp, config.is_tagged) {
            match Rule::create(self.id(), about, &Fate::Queue(own)) {
                Ok(rule) => self.rules.push(rule),
                Err(Refusal { why, .. }) => {
                    steering.refused.push(format!("ICMP shares the queues: {why}"));
                    break;
                }
            }
        }
        Ok(())
    }

    /// Where the hash is of outer headers, asks by rule for that of G-PDUs' inner ones. Why not,
    /// if it is refused.
    fn spread_by_rule(&mut self, config: &PortConfig, steering: &mut Steering) -> Option<String> {
        if config.queues < 2 || matches!(steering.spreading, Spreading::Innermost | Spreading::Teid)
        {
            return None;
        }
        let fate =
            Fate::Innermost { queues: (0..config.queues).collect(), key: self.hash_key().to_vec() };
        let mut rules = Vec::new();
        for about in Match::of_both(Upper::Gtpu, config.is_tagged) {
            match Rule::create(self.id(), about, &fate) {
                Ok(rule) => rules.push(rule),
                Err(Refusal { why, .. }) => {
                    rules.into_iter().for_each(|rule: Rule| rule.end(self.id()));
                    return Some(format!("no hash of inner addresses: {why}"));
                }
            }
        }
        self.rules.extend(rules);
        steering.spreading = Spreading::Innermost;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTER: u64 = sys::WEIR_RSS_IP | sys::WEIR_RSS_UDP;

    fn spreadings(queues: u16, offered: u64) -> Vec<Spreading> {
        Hash::choices(queues, offered).iter().map(|hash| hash.spreading).collect()
    }

    #[test]
    fn the_best_that_is_offered_is_asked_for_first_and_nothing_that_is_not() {
        use Spreading::{Innermost, Outer, Teid, Unasked, Whole};
        assert_eq!(spreadings(1, u64::MAX), [Whole]);
        assert_eq!(spreadings(2, 0), [Unasked]);
        assert_eq!(spreadings(2, OUTER), [Outer, Unasked]);
        assert_eq!(spreadings(2, OUTER | sys::WEIR_RSS_GTPU), [Teid, Outer, Unasked]);
        assert_eq!(spreadings(4, u64::MAX), [Innermost, Teid, Outer, Unasked]);
        for hash in Hash::choices(4, OUTER | sys::WEIR_RSS_INNERMOST) {
            assert_eq!(hash.bits & !(OUTER | sys::WEIR_RSS_INNERMOST), 0, "{hash:?}");
        }
        // The level alone hashes nothing.
        assert_eq!(spreadings(2, sys::WEIR_RSS_INNERMOST), [Unasked]);
    }

    #[test]
    fn the_table_names_every_queue_but_n4s() {
        let table = table(130, 3);
        assert_eq!(table.len(), 3);
        assert_eq!((table[0].mask, table[2].mask), (u64::MAX, 0b11));
        let queues: Vec<u16> = table.iter().flat_map(|group| group.reta).take(130).collect();
        assert!(queues.iter().all(|queue| *queue < 3));
        for queue in 0..3 {
            assert!(queues.iter().filter(|of| **of == queue).count() >= 43, "queue {queue}");
        }
    }

    #[test]
    fn one_line_says_what_is_obtained_and_what_is_not() {
        let mut steering = Steering {
            spreading: Spreading::Outer,
            n4_queue: None,
            refused: vec!["the driver takes no rules (rte_flow)".into()],
        };
        assert_eq!(
            steering.to_string(),
            "spread by the outermost addresses and ports; N4 shares the queues; \
             the driver takes no rules (rte_flow)"
        );
        steering.n4_queue = Some(QueueId(4));
        assert!(steering.to_string().contains("N4 on queue 4 of its own"));
    }
}
