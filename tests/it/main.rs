//! Integration tests: real Kafka, real Redis, real film.

mod chaos;
mod cli;
mod config;
mod docs;
mod gpu;
mod jobs;
mod k8s;
mod kafka;
mod media;
mod service;
mod stage;
mod storage;
mod store;
mod support;
