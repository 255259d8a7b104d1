//! Whole workers in virtual time, with everything outside of them in memory.

mod flow;
