//! The commits of the poll thread.

use std::time::{Duration, Instant};

use rdkafka::types::RDKafkaRespErr;

use super::{COMMIT_POLL_INTERVAL, Member, PollThread};

/// For the last commits before the group is left.
const LAST_COMMIT_TIMEOUT: Duration = Duration::from_secs(3);

impl PollThread {
    pub(super) fn commit_if_due(&self, now: Instant) {
        self.members.iter().for_each(|member| self.commit_of(member, now));
    }

    fn commit_of(&self, member: &Member, now: Instant) {
        let commits = {
            let mut group = self.shared.group();
            let commits = group.due_commits(member.queue, now);
            if commits.is_empty() {
                return;
            }
            group.commits(member.queue).sent(commits.clone(), now);
            commits
        };
        let code = member.commit(&commits);
        if code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            self.shared.group().commits(member.queue).failed(now);
            tracing::warn!(?code, "kafka commit could not be sent, it is sent again");
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
