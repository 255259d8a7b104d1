//! Whole workers in virtual time, with everything outside of them in memory.

mod away;
mod cancel;
mod chaos;
mod crash;
mod drain;
mod failures;
mod faulty;
mod flow;
mod full;
mod generations;
mod gpu;
mod measures;
mod refused;
mod restart;
mod sources;
mod versions;
