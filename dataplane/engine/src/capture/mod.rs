//! Capture files, read from their bytes.
