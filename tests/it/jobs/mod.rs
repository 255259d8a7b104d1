//! Whole jobs through the program: films in, files out, looked at by the judge.

mod av1;
mod bad_input;
mod clips;
mod cluster;
mod corpus;
mod decoding;
mod film;
mod letters;
mod logs;
mod mutants;
mod recorded;
mod versions;
