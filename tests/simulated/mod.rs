//! What the simulations share: a time of their own, clocks that run wrong, hosts that freeze, and what becomes of seeds. What
//! breaks in a world, and what must not, each says for itself: by its `run`, by the `Kind` of things that it counts, and by its
//! `World`, which `common.rs` is a part of.

pub(crate) mod candidate;
pub(crate) mod outcome;
pub(crate) mod seeds;
pub(crate) mod timings;
