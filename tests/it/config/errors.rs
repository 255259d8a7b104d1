//! What is refused, and in which words.

use gstreamer_worker::config::{Config, VARIABLES};
use proptest::prelude::*;

use super::{parse, pod};

fn refused(vars: &[(&str, &str)]) -> Vec<(String, String)> {
    let errors = pod(vars).expect_err("refused");
    errors.0.into_iter().map(|error| (error.variable, error.problem)).collect()
}

#[test]
fn everything_that_is_wrong_is_said_together_with_value_and_what_is_accepted() {
    let errors = parse(&[
        ("KAFKA_BROKERS", "kafka"),
        ("KAFKA_TOPIC", "no spaces please"),
        ("REDIS_PORT", "0"),
        ("TRANSCODING_SERVICE_URL", "ftp://service"),
        ("GPU_ENABLED", "maybe"),
        ("ENCODER_POOL_SIZE", "0"),
        ("JOB_PARALLELISM", "-1"),
        ("CHUNK_SECONDS", "ten"),
        ("WORK_URL", "work"),
        ("METRICS_PORT", "65536"),
        ("GPU_SESSIONS", "0"),
        ("GPU_WAIT_TIMEOUT", "soon"),
        ("ENCODER_WAIT_TIMEOUT", "soon"),
        ("STALL_TIMEOUT", "soon"),
        ("MAX_ATTEMPTS", "1000"),
        ("DRAIN_TIMEOUT", "1 fortnight"),
        ("CHECKPOINT_TTL", "1s"),
        ("LOG_FORMAT", "xml"),
    ])
    .expect_err("refused");
    let named: Vec<_> = errors.0.iter().map(|error| error.variable.as_str()).collect();
    for name in [
        "KAFKA_BROKERS",
        "KAFKA_TOPIC",
        "REDIS_PORT",
        "TRANSCODING_SERVICE_URL",
        "GPU_ENABLED",
        "ENCODER_POOL_SIZE",
        "JOB_PARALLELISM",
        "CHUNK_SECONDS",
        "WORK_URL",
        "METRICS_PORT",
        "GPU_SESSIONS",
        "GPU_WAIT_TIMEOUT",
        "ENCODER_WAIT_TIMEOUT",
        "STALL_TIMEOUT",
        "MAX_ATTEMPTS",
        "DRAIN_TIMEOUT",
        "CHECKPOINT_TTL",
        "LOG_FORMAT",
    ] {
        assert!(named.contains(&name), "{name} is not in {named:?}");
    }
    let text = errors.to_string();
    assert!(text.contains("METRICS_PORT: `65536` is not accepted, it takes a port, 0 to 65535"), "{text}");
    assert!(text.contains("LOG_FORMAT: `xml` is not accepted, it takes `text` or `json`"), "{text}");
    assert_eq!(text.lines().count(), errors.0.len(), "one line each:\n{text}");
}

#[test]
fn what_has_to_be_set_is_said_with_the_reason() {
    let errors = parse(&[]).expect_err("refused").to_string();
    assert!(errors.contains("KAFKA_BROKERS: is not set"), "{errors}");
    let errors = parse(&[("KAFKA_BROKERS", "kafka:9092")]).expect_err("refused").to_string();
    assert!(errors.contains("REDIS_HOST: is not set (the workers of a cluster share their checkpoints"), "{errors}");
    let errors = refused(&[("TRANSCODING_SERVICE_TOKEN", "t")]);
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].0, "TRANSCODING_SERVICE_URL");
}

#[test]
fn a_work_storage_that_no_worker_can_use_is_refused_at_the_start() {
    let accepted = "a `file://` URL of an absolute path without `?` and `#`, such as `file:///mnt/work`";
    for (url, shown) in [
        ("s3://bucket/prefix", "s3://bucket/prefix"),
        ("file://host/mnt/work", "file://host/mnt/work"),
        ("file:///mnt/work#x", "file:///mnt/work#x"),
        ("file:///mnt/work?x", "file:///mnt/work"),
    ] {
        let problem = format!("`{shown}` is not accepted, it takes {accepted}");
        assert_eq!(refused(&[("WORK_URL", url)]), [("WORK_URL".to_owned(), problem)]);
    }
    for url in ["file:///mnt/work", "file:///mnt/my%20work/", "file://localhost/mnt/work"] {
        pod(&[("WORK_URL", url)]).unwrap_or_else(|errors| panic!("{url}: {errors}"));
    }
}

#[test]
fn a_slip_of_the_fingers_is_not_passed_over() {
    for (slip, meant) in [
        ("KAFKA_BROKER", "KAFKA_BROKERS"),
        ("KAKFA_TOPIC", "KAFKA_TOPIC"),
        ("ENCODERS_POOL_SIZE", "ENCODER_POOL_SIZE"),
        ("STALL_TIMOUT", "STALL_TIMEOUT"),
        ("WORK_URI", "WORK_URL"),
        ("metrics_port", "METRICS_PORT"),
    ] {
        assert_eq!(
            refused(&[(slip, "1")]),
            [(slip.to_owned(), format!("is not a variable of this worker, did you mean {meant}?"))]
        );
    }
}

#[test]
fn variables_of_others_are_not_ours_to_judge() {
    pod(&[
        ("PATH", "/bin"),
        ("KAFKA_PORT", "tcp://10.0.0.1:9092"),
        ("KAFKA_SERVICE_HOST", "10.0.0.1"),
        ("REDIS_SERVICE_PORT", "6379"),
        ("RUST_LOG", "debug"),
        ("JOB_NAME", "x"),
        ("LOG_LEVEL", "x"),
    ])
    .expect("fine");
}

#[test]
fn properties_that_carry_the_guarantees_cannot_be_changed() {
    for (name, words) in [
        ("KAFKA_CONFIG_BOOTSTRAP_SERVERS", "KAFKA_BROKERS"),
        ("KAFKA_CONFIG_GROUP_ID", "KAFKA_GROUP_ID"),
        ("KAFKA_CONFIG_ENABLE_AUTO_COMMIT", "durable"),
        ("KAFKA_CONFIG_PARTITION_ASSIGNMENT_STRATEGY", "cooperative-sticky"),
        ("KAFKA_CONFIG_", "librdkafka property"),
        ("KAFKA_CONFIG_A__B", "librdkafka property"),
    ] {
        let errors = refused(&[(name, "x")]);
        assert_eq!((errors.len(), errors[0].0.as_str()), (1, name));
        assert!(errors[0].1.contains(words), "{errors:?}");
    }
}

#[test]
fn user_and_password_of_an_address_are_not_repeated() {
    for (name, value) in [
        ("TRANSCODING_SERVICE_URL", "ftp://user:s3cret@service/x?key=s3cret"),
        ("WORK_URL", "//user:s3cret@host"),
        ("KAFKA_BROKERS", "kafka://user:s3cret@kafka"),
    ] {
        let errors = refused(&[(name, value)]);
        assert_eq!(errors[0].0, name);
        assert!(!errors[0].1.contains("s3cret"), "{errors:?}");
    }
}

proptest! {
    /// Any text in any variables: an answer or errors about these variables, one each, without the secrets.
    #[test]
    fn no_environment_breaks_it_and_no_secret_gets_out(
        values in proptest::collection::vec(proptest::option::of(".{0,12}|[0-9]{1,6}[smhd]?|[a-z]{1,5}:[/]{0,2}[a-z:@0-9]{0,9}"), VARIABLES.len()),
        secret in "SECRET[a-z \u{7}é]{1,10}",
    ) {
        let mut vars: Vec<(String, String)> = VARIABLES.iter().zip(values)
            .filter(|(variable, _)| !variable.secret && !variable.name.ends_with('*'))
            .filter_map(|(variable, value)| Some((variable.name.to_owned(), value?)))
            .collect();
        for name in ["REDIS_PASSWORD", "TRANSCODING_SERVICE_TOKEN", "KAFKA_CONFIG_SASL_PASSWORD"] {
            vars.push((name.into(), secret.clone()));
        }
        match Config::from_vars(vars) {
            Ok(config) => {
                let shown = format!("{config:?}");
                prop_assert!(!shown.contains("SECRET"), "{}", shown);
            }
            Err(errors) => {
                prop_assert!(!errors.is_empty());
                let shown = format!("{errors}{errors:?}");
                prop_assert!(!shown.contains("SECRET"), "{}", shown);
                let mut names: Vec<_> = errors.0.iter().map(|error| error.variable.clone()).collect();
                names.sort();
                let count = names.len();
                names.dedup();
                prop_assert_eq!(count, names.len(), "{}", errors);
                prop_assert!(names.iter().all(|name| VARIABLES.iter().any(|variable| variable.name == name)));
                prop_assert_eq!(errors.to_string().lines().count(), count);
            }
        }
    }
}
