//! Finds the metrics that a PromQL expression names, and the labels that it asks them for.

/// A metric as an expression names it.
#[derive(Debug, PartialEq)]
pub(super) struct Named {
    /// Its name, with the ending that a histogram's series have.
    pub(super) name: String,
    /// Labels with the values that are asked for; several where a regular expression lists them.
    pub(super) labels: Vec<(String, Vec<String>)>,
}

/// All metrics of ours in an expression, or in any other text that names some.
pub(super) fn named(text: &str) -> Vec<Named> {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_word) {
        rest = &rest[start..];
        let (word, after) = rest.split_at(rest.find(|c| !is_word(c)).unwrap_or(rest.len()));
        if word.starts_with("transcode_") || word.starts_with("kafka_consumer_") {
            let selector = after.strip_prefix('{').and_then(|inside| inside.split_once('}'));
            let labels = selector.map_or_else(Vec::new, |(inside, _)| inside.split(", ").flat_map(label).collect());
            found.push(Named { name: word.into(), labels });
        }
        rest = after;
    }
    found
}

/// `name="value"`, `name=~"a|b"` and their opposites.
fn label(matcher: &str) -> Option<(String, Vec<String>)> {
    let (name, value) = matcher.split_once(['=', '!'])?;
    let values = value.trim_start_matches(['=', '~']).trim_matches('"').split('|').map(str::to_owned);
    Some((name.trim().to_owned(), values.collect()))
}

#[test]
fn metrics_and_labels_are_found_wherever_they_stand() {
    let text = r#"sum by (pod) (rate(transcode_a_bucket{x="1", y!~"2|3"}[5m])) / kafka_consumer_lag > TranscodeLag"#;
    let pair = |name: &str, values: &[&str]| (name.to_owned(), values.iter().map(|value| value.to_string()).collect());
    let expected = [
        Named { name: "transcode_a_bucket".into(), labels: vec![pair("x", &["1"]), pair("y", &["2", "3"])] },
        Named { name: "kafka_consumer_lag".into(), labels: Vec::new() },
    ];
    assert_eq!(named(text), expected);
}
