//! Seeded scenarios of a 5G user plane, with ground truth.
