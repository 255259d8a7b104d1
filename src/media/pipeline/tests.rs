use super::*;

fn pipeline(description: &str) -> Pipeline {
    crate::media::pipeline::init().expect("GStreamer");
    let pipeline = Pipeline::new("test");
    let elements = description.split('!').map(|factory| pipeline.add(factory.trim()).expect("an element"));
    let elements: Vec<_> = elements.collect();
    pipeline.link(&elements.iter().collect::<Vec<_>>()).expect("linked");
    pipeline
}

fn wait(pipeline: &Pipeline) -> Result<Wait, Failure> {
    pipeline.wait(&|| 0, &mut || true, &mut |_| {})
}

#[test]
fn a_pipeline_runs_to_its_end_and_is_brought_to_null() {
    let pipeline = pipeline("videotestsrc ! fakesink");
    let source = pipeline.bin().children().pop().expect("an element");
    for child in pipeline.bin().children().iter().filter(|child| child.has_property("num-buffers")) {
        child.set_property("num-buffers", 3i32);
    }
    pipeline.start().expect("started");
    assert_eq!(wait(&pipeline), Ok(Wait::Ended));
    drop(pipeline);
    assert_eq!(source.current_state(), gst::State::Null);
}

#[test]
fn an_error_names_its_element_and_has_a_class() {
    let pipeline = pipeline("filesrc ! fakesink");
    for child in pipeline.bin().children().iter().filter(|child| child.has_property("location")) {
        child.set_property("location", "/nowhere/at/all");
    }
    let failure = pipeline.start().and_then(|()| wait(&pipeline).map(|_| ())).expect_err("no such file");
    assert_eq!(failure.class, FailureClass::Permanent);
    assert!(failure.message.starts_with("filesrc: ") && failure.message.contains("/nowhere/at/all"), "{failure}");
}

#[test]
fn a_pipeline_in_which_nothing_moves_is_given_up() {
    let pipeline = pipeline("appsrc ! fakesink").with_patience(Duration::from_millis(300));
    pipeline.start().expect("started");
    let failure = wait(&pipeline).expect_err("it has nothing to do");
    assert_eq!(failure.class, FailureClass::Retryable);
    assert!(failure.message.contains("nothing moved"), "{failure}");
}

#[test]
fn the_caller_can_stop_a_pipeline_and_is_woken_by_a_nudge() {
    let pipeline = pipeline("appsrc ! fakesink");
    pipeline.start().expect("started");
    pipeline.nudge().send();
    let mut looks = 0;
    let stopped = pipeline.wait(
        &|| 0,
        &mut || {
            looks += 1;
            false
        },
        &mut |_| {},
    );
    assert_eq!((stopped, looks), (Ok(Wait::Stopped), 1));
}

#[test]
fn elements_that_are_not_there_or_do_not_fit_are_named() {
    crate::media::pipeline::init().expect("GStreamer");
    let pipeline = Pipeline::new("test");
    let failure = pipeline.add("nosuchelement").expect_err("no such element");
    assert_eq!(failure.class, FailureClass::Permanent);
    assert!(failure.message.contains("nosuchelement"), "{failure}");
    let (video, audio) =
        (pipeline.add("videotestsrc").expect("a source"), pipeline.add("audioconvert").expect("a filter"));
    let failure = pipeline.link(&[&video, &audio]).expect_err("pictures are no sound");
    assert!(failure.message.contains("videotestsrc ! audioconvert"), "{failure}");
}

#[test]
fn errors_are_classified_by_who_is_at_fault() {
    use gst::{CoreError, LibraryError, ResourceError, StreamError};
    let class = |error: glib::Error| classify(None, &error, "").class;
    let resource = |kind| class(glib::Error::new(kind, "x"));
    assert_eq!(resource(ResourceError::NoSpaceLeft), FailureClass::Retryable);
    assert_eq!(resource(ResourceError::Write), FailureClass::Retryable);
    assert_eq!(resource(ResourceError::Read), FailureClass::Retryable);
    assert_eq!(resource(ResourceError::NotFound), FailureClass::Permanent);
    assert_eq!(resource(ResourceError::NotAuthorized), FailureClass::Permanent);
    for kind in [StreamError::Decode, StreamError::Demux, StreamError::CodecNotFound, StreamError::Failed] {
        assert_eq!(class(glib::Error::new(kind, "x")), FailureClass::Permanent);
    }
    assert_eq!(class(glib::Error::new(CoreError::MissingPlugin, "x")), FailureClass::Permanent);
    assert_eq!(class(glib::Error::new(CoreError::Thread, "x")), FailureClass::Retryable);
    assert_eq!(class(glib::Error::new(LibraryError::Init, "x")), FailureClass::Retryable);
}

#[test]
fn what_the_debug_text_adds_is_kept_and_where_it_was_born_is_not() {
    let error = glib::Error::new(gst::StreamError::Demux, "This file is damaged.");
    let debug = "../gst/isomp4/qtdemux.c(123): header (): /GstPipeline:p/GstQTDemux:q:\nno known streams found";
    let failure = classify(None, &error, debug);
    assert_eq!(failure.message, "the pipeline: This file is damaged (no known streams found)");
    let failure = classify(None, &error, "../gst/isomp4/qtdemux.c(123): header (): /GstPipeline:p/GstQTDemux:q:");
    assert_eq!(failure.message, "the pipeline: This file is damaged");
}
