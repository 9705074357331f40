//! The memory that sensor and control share.
