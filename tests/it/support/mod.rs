//! Servers, films and judges that the tests start themselves.

pub mod clip;
pub mod fleet;
pub mod kafka;
pub mod media;
pub mod process;
pub mod redis;
pub mod service;
pub mod transcode;
pub mod worker;
