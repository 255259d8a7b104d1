//! `doctor` by the real binary, against servers that are there and servers that are not.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};
use serde_json::Value;

use super::binary::{out, run};
use crate::support::clip::Clip;

/// The findings of a check, as `(verdict, detail)`.
fn findings<'a>(all: &'a Value, check: &str) -> Vec<(&'a str, &'a str)> {
    let text = |finding: &'a Value, name: &str| finding[name].as_str().expect("text");
    let list = all.as_array().expect("a list").iter().filter(|finding| finding["check"] == check);
    list.map(|finding| (text(finding, "verdict"), text(finding, "detail"))).collect()
}

fn doctor(env: &[(&str, &str)]) -> (Option<i32>, Value) {
    let output = run(&["doctor", "--json"], env);
    (output.status.code(), serde_json::from_str(&out(&output)).expect("json"))
}

/// A port where nobody listens.
fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port().to_string()
}

#[test]
fn servers_that_are_not_there_fail_with_an_advice_and_in_time() {
    let port = closed_port();
    let (brokers, service) = (format!("127.0.0.1:{port}"), format!("http://127.0.0.1:{port}"));
    let (code, all) = doctor(&[
        ("KAFKA_BROKERS", &brokers),
        ("REDIS_HOST", "127.0.0.1"),
        ("REDIS_PORT", &port),
        ("REDIS_PASSWORD", "hunter2"),
        ("TRANSCODING_SERVICE_URL", &service),
    ]);
    assert_eq!(code, Some(1));
    for check in ["kafka", "redis", "service"] {
        let found = findings(&all, check);
        assert!(found.len() == 1 && found[0].0 == "fail" && found[0].1.contains(&port), "{check}: {found:?}");
    }
    for finding in all.as_array().expect("a list") {
        assert_eq!(finding["verdict"] == "ok", finding["advice"].is_null(), "{finding}");
    }
    assert!(!all.to_string().contains("hunter2"));
}

#[test]
fn the_elements_that_are_installed_are_found() {
    let (_, all) = doctor(&[]);
    assert_eq!(findings(&all, "gstreamer").len(), 1);
    for (verdict, detail) in [findings(&all, "gstreamer"), findings(&all, "elements")].concat() {
        assert_eq!(verdict, "ok", "{detail}");
    }
    let configuration = findings(&all, "configuration");
    assert_eq!(configuration[0].0, "warn", "nothing is set: only a pod needs it");
}

/// The rows of the table of capabilities, as `(codec, direction, bits, family, whether it works)`.
fn table(all: &Value) -> Vec<(String, String, u64, String, bool)> {
    let text = |path: &Value, name: &str| path[name].as_str().expect("text").to_owned();
    let paths = all.as_array().expect("a list").iter().filter_map(|finding| finding.get("path"));
    let rows = paths.map(|path| {
        let works = path["proof"].get("works").is_some();
        let bits = path["bit_depth"].as_u64().expect("a depth");
        (text(path, "codec"), text(path, "direction"), bits, text(path, "family"), works)
    });
    rows.collect()
}

#[test]
fn the_table_has_every_encoder_of_the_cpu_and_a_device_where_a_test_offers_one() {
    let row = |codec: &str, bits, family: &str| (codec.to_owned(), "encode".to_owned(), bits, family.to_owned(), true);
    let cpu = [
        row("h264", 8, "x264"),
        row("h265", 8, "x265"),
        row("h265", 10, "x265"),
        row("av1", 8, "svtav1"),
        row("av1", 10, "svtav1"),
    ];
    let (_, all) = doctor(&[("GPU_ENABLED", "false"), ("TEST_DEVICE_ENCODER", "openh264")]);
    assert_eq!(table(&all), cpu, "nothing is tried that is not wanted");
    let (_, all) = doctor(&[("TEST_DEVICE_ENCODER", "openh264")]);
    let found = table(&all);
    let of_gpus = found.iter().filter(|(.., family, _)| family == "nvcodec" || family == "va").count();
    assert_eq!(found.len() - of_gpus, cpu.len() + 1, "{found:?}");
    assert!(cpu.iter().all(|row| found.contains(row)) && found.contains(&row("h264", 8, "openh264")), "{found:?}");
}

#[test]
fn the_versions_are_those_that_the_encoders_write_into_their_streams() {
    let (_, all) = doctor(&[("GPU_ENABLED", "false")]);
    let found: Vec<&str> = findings(&all, "version").into_iter().map(|(_, detail)| detail).collect();
    let version = |name: &str| {
        let line = found.iter().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("no version of {name}: {found:?}")).to_owned()
    };
    let directory = tempfile::tempdir().expect("a directory");
    for (encoder, said) in [
        ("x264enc speed-preset=ultrafast ! h264parse", format!("x264 - core {} - H.264", version("x264"))),
        (
            "x265enc speed-preset=ultrafast ! h265parse",
            format!("x265 (build {}:", version("x265").replacen(' ', ") - ", 1)),
        ),
    ] {
        let clip = Clip { frames: 25, ..Clip::new("clip.mkv", encoder, "", "matroskamux") };
        let bytes = std::fs::read(clip.write(directory.path())).expect("a clip");
        assert!(bytes.windows(said.len()).any(|window| window == said.as_bytes()), "{said} is not there: {encoder}");
    }
    let package = |name: &str| {
        let output = std::process::Command::new("dpkg-query").args(["-W", "-f", "${Version}", name]).output();
        String::from_utf8(output.expect("dpkg-query").stdout).expect("text")
    };
    assert!(package("libgstreamer1.0-0").starts_with(&format!("{}-", version("gstreamer"))), "{found:?}");
    let svt = version("svtav1");
    assert!(package("libsvtav1enc2").starts_with(svt.trim_start_matches('v')), "{svt}");
    let aac = version("avenc_aac");
    assert!(aac.strip_prefix("Lavc61.").is_some_and(|rest| rest.split('.').count() == 2), "{aac}");
}

#[test]
fn errors_of_the_configuration_are_findings() {
    let (code, all) = doctor(&[("KAFKA_BROKERS", "kafka"), ("METRICS_PORT", "x")]);
    assert_eq!(code, Some(1));
    let found = findings(&all, "configuration");
    assert!(found.len() == 2 && found.iter().all(|(verdict, _)| *verdict == "fail"), "{found:?}");
    assert!(findings(&all, "gstreamer")[0].0 == "ok", "the rest is looked at all the same");
}

/// A certificate of `localhost` that is its own authority, with its key, both as PEM.
fn certificate() -> (Vec<u8>, Vec<u8>) {
    let key = PKey::from_rsa(Rsa::generate(2048).expect("a key")).expect("a key");
    let mut name = X509NameBuilder::new().expect("a name");
    name.append_entry_by_text("CN", "localhost").expect("a name");
    let name = name.build();
    let mut builder = X509::builder().expect("a certificate");
    builder.set_version(2).expect("version 3");
    builder.set_subject_name(&name).expect("a subject");
    builder.set_issuer_name(&name).expect("an issuer");
    builder.set_pubkey(&key).expect("a key");
    builder.set_not_before(&Asn1Time::days_from_now(0).expect("now")).expect("a time");
    builder.set_not_after(&Asn1Time::days_from_now(1).expect("tomorrow")).expect("a time");
    builder.append_extension(BasicConstraints::new().ca().build().expect("an extension")).expect("added");
    let names = SubjectAlternativeName::new().dns("localhost").build(&builder.x509v3_context(None, None));
    builder.append_extension(names.expect("an extension")).expect("added");
    builder.sign(&key, MessageDigest::sha256()).expect("signed");
    let key = key.private_key_to_pem_pkcs8().expect("pem");
    (builder.build().to_pem().expect("pem"), key)
}

/// Answers every request with 404 over TLS; returns the URL. The thread ends with the test binary.
fn tls_service(certificate: &[u8], key: &[u8]) -> String {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).expect("an acceptor");
    acceptor.set_certificate(&X509::from_pem(certificate).expect("a certificate")).expect("set");
    acceptor.set_private_key(&PKey::private_key_from_pem(key).expect("a key")).expect("set");
    let acceptor = acceptor.build();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("https://localhost:{}", listener.local_addr().expect("an address").port());
    std::thread::spawn(move || {
        for stream in listener.incoming().filter_map(Result::ok) {
            // A client that does not trust the certificate breaks off.
            let Ok(mut stream) = acceptor.accept(stream) else { continue };
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = stream.shutdown();
        }
    });
    url
}

#[test]
fn a_service_with_tls_is_reached_where_its_certificate_is_trusted() {
    let (pem, key) = certificate();
    let url = tls_service(&pem, &key);
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("ca.pem");
    std::fs::write(&file, &pem).expect("a file");
    let pod = [("KAFKA_BROKERS", "embedded"), ("TRANSCODING_SERVICE_URL", url.as_str())];
    let trusting = [&pod[..], &[("SSL_CERT_FILE", super::fakes::text(&file))]].concat();
    let (_, all) = doctor(&trusting);
    assert_eq!(findings(&all, "service"), [("ok", format!("{url}/ answers (404)").as_str())]);
    let (_, all) = doctor(&pod);
    let found = findings(&all, "service");
    assert!(found[0].0 == "fail" && found[0].1.contains("certificate"), "{found:?}");
}
