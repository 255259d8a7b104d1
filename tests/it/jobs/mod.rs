//! Whole jobs through the program: films in, files out, looked at by the judge.

mod clips;
mod film;
