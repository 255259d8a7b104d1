//! A Redis server on loopback.
