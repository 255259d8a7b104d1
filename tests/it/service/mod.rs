//! The Transcoding Service's client, its contract, and the admin endpoint.

mod admin;
mod contract;
mod delivery;
pub mod reports;
