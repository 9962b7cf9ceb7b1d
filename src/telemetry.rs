//! The names of all metrics and spans, in one place.
