//! The Transcoding Service: reports over HTTP.
