//! Kafka adapter on a real broker and on the embedded one.
