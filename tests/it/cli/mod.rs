//! The command line: options to jobs, ends to exit statuses, reports to text.

mod binary;
mod doctor;
mod fakes;
mod letters;
mod output;
mod shared;
mod transcode;
