//! `lattice-session`.
fn main() {}
