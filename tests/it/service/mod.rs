//! The Transcoding Service's client, its contract, the admin endpoint and the log.

mod admin;
mod contract;
mod delivery;
mod logs;
pub mod reports;
