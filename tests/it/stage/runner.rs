//! The runner on real files and real child processes: from a job to its outputs, and from every mishap back.

mod assembling;
mod cutting;
mod encoding;
mod workshop;
