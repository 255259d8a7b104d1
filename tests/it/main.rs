//! Integration tests: real Kafka, real Redis, real film.

mod jobs;
mod kafka;
mod media;
mod stage;
mod storage;
mod store;
mod support;
