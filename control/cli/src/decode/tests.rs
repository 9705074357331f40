//! Lines of hand-made frames.
