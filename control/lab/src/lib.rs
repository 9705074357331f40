//! The laboratory: families of attacks, made at several intensities amid everything that looks like
//! one, replayed through the real sensor and control, and scored.
//!
//! A [`family::Family`] makes an attack at an [`intensity::Intensity`] by the chance of a seed, on a
//! [`site::Site`]. A [`run::Plan`] has many such cases; each is generated with its labels, replayed
//! by `weir replay`, and [`judgement`] holds the alerts against the labels. [`score`] adds up. [`peers`]
//! asks others about the same cases.

pub mod ablation;
pub mod draw;
mod families;
pub mod family;
pub mod heard;
pub mod intensity;
pub mod interval;
pub mod judgement;
pub mod peers;
pub mod player;
pub mod report;
pub mod run;
pub mod score;
pub mod site;
