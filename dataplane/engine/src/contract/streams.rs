//! Streams of copies that match no authorisation: in counts, since nobody needs more than these to
//! see that there are too many.

use serde::{Deserialize, Serialize};

use crate::Nanos;
use crate::rules::EquipmentId;

/// How many streams of copies went to one place within a time, of which none was told yet. Told as
/// long as there are more than are authorised, and once when there no longer are.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Streams {
    /// Stands for the place in this life of the sensor; its address is told nowhere.
    pub place: u32,
    /// The UPF that copies most beyond what it may, by its entry.
    pub upf: Option<EquipmentId>,
    /// Whether anybody declared the place as a mediation function.
    pub is_declared: bool,
    /// The fewest at a time.
    pub fewest: u32,
    /// The most at a time.
    pub most: u32,
    /// The most that were authorised at a time.
    pub authorised: u32,
    /// When the time begins: where the place's record before it ended, if that told of too many.
    pub from: Nanos,
    /// When it ends.
    pub until: Nanos,
    /// How much of N4 is seen: an end that was not seen leaves a stream counted.
    pub coverage: Option<f32>,
    /// Lost ÷ received at the time.
    pub loss_ratio: f32,
    /// Whether frames, or too much of N4, were missed.
    pub degraded: bool,
    /// The version of the policy that judged.
    pub policy: u64,
}
