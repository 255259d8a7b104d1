//! Kafka: jobs and tasks in, offsets and tasks out, and the embedded broker.
