//! Servers, films and judges that the tests start themselves.

pub mod kafka;
pub mod media;
pub mod redis;
pub mod service;
