//! The properties of librdkafka that carry the guarantees of the worker: nobody else sets them.

/// Each with the variable to use, or the reason. Aliases are properties too.
const RESERVED: [(&str, &str); 13] = [
    ("bootstrap.servers", "set KAFKA_BROKERS"),
    ("metadata.broker.list", "set KAFKA_BROKERS"),
    ("group.id", "set KAFKA_GROUP_ID"),
    ("client.id", "it is the name of the worker"),
    ("enable.auto.commit", "offsets are committed only after the work is durable"),
    ("auto.commit.enable", "offsets are committed only after the work is durable"),
    ("enable.auto.offset.store", "offsets are committed only after the work is durable"),
    ("enable.partition.eof", "the worker has no use for it"),
    ("partition.assignment.strategy", "the worker relies on cooperative-sticky"),
    ("group.protocol", "the worker relies on the classic protocol"),
    ("enable.idempotence", "the worker relies on it"),
    ("acks", "the worker relies on all in-sync replicas"),
    ("request.required.acks", "the worker relies on all in-sync replicas"),
];

/// Why a property cannot be set, if it cannot.
pub fn reserved(property: &str) -> Option<&'static str> {
    RESERVED.iter().find(|(known, _)| *known == property).map(|(_, reason)| *reason)
}
