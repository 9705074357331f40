//! Bytes and time in, verdicts out.
