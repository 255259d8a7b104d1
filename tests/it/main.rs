//! Integration tests: real Kafka, real Redis, real film.

mod cli;
mod config;
mod kafka;
mod media;
mod service;
mod store;
mod support;
