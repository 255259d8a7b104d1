//! The commits of the poll thread.

use std::time::{Duration, Instant};

use rdkafka::bindings as native;
use rdkafka::consumer::Consumer as _;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use super::{COMMIT_POLL_INTERVAL, PollThread};

/// For the last commits before the group is left.
const LAST_COMMIT_TIMEOUT: Duration = Duration::from_secs(3);

impl PollThread {
    pub(super) fn commit_if_due(&self, now: Instant) {
        let commits = {
            let group = self.shared.group();
            if !group.commits.is_due(group.intake.is_idle(), now) {
                return;
            }
            group.intake.to_commit()
        };
        if commits.is_empty() {
            return;
        }
        let list = self.shared.list(commits.iter().map(|commit| (commit.place, Offset::Offset(commit.offset))));
        self.shared.group().commits.sent(commits, now);
        let code = self.commit_with_answer(&list);
        if code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            self.shared.group().commits.failed(now);
            tracing::warn!(?code, "kafka commit could not be sent, it is sent again");
        }
    }

    /// Sends a commit whose answer comes to [`GroupContext`] by a later poll. The safe call gives no answer: librdkafka
    /// drops it where, as here, callbacks are replaced by events and no queue is named.
    fn commit_with_answer(&self, list: &TopicPartitionList) -> RDKafkaRespErr {
        let client = self.consumer.client().native_ptr();
        // SAFETY: the client lives as long as the consumer, the list as long as the call, which copies it. The reference
        // to the queue is given back at once; the request under way holds one of its own.
        unsafe {
            let queue = native::rd_kafka_queue_get_consumer(client);
            let code = native::rd_kafka_commit_queue(client, list.ptr(), queue, None, std::ptr::null_mut());
            native::rd_kafka_queue_destroy(queue);
            code
        }
    }

    /// Commits what is finished before the group is left. Where that fails, leaving does not try once more.
    pub(super) fn commit_last(&mut self) {
        self.shared.group().intake.drop_buffers();
        let deadline = Instant::now() + LAST_COMMIT_TIMEOUT;
        while Instant::now() < deadline {
            if self.shared.group().intake.to_commit().is_empty() {
                return;
            }
            self.commit_if_due(Instant::now());
            if self.poll().is_err() {
                break;
            }
            self.obey(COMMIT_POLL_INTERVAL);
            self.shared.group().intake.drop_buffers();
        }
        self.shared.group().may_commit = false;
        tracing::warn!("last kafka commit failed, finished tasks will be seen again by the next owner");
    }
}
