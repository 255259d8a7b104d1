//! Apache Kafka in KRaft mode on loopback.
