//! Pipelines on real and generated media.

mod assemble;
mod audio;
mod clips;
mod cut;
mod encode;
mod families;
mod ledger;
mod levels;
mod nvenc;
mod orientation;
mod parts;
mod picture;
pub mod sources;
mod split;
pub mod verify;
mod whole;
