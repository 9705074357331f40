//! Zero-copy views of the headers of the 5G user plane.
