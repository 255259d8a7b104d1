//! What Redis does in one step: Lua, so that no other worker ever sees half a change.
//!
//! The rules are those of `actors::domain::checkpoint::Checkpoint`; a property test holds them against each other. Every script
//! looks before it writes, because Redis does not undo what a failed script wrote. Scripts reach the side keys of a job
//! (`…:attempts`, `…:fingerprints`, `…:parts:{fingerprint}`) by name: a single Redis or a replicated one is needed, not
//! a cluster. Times: the time stamps are the worker's; whatever compares times over workers asks Redis for its own.

use std::sync::LazyLock;

use deadpool_redis::redis::Script;

/// Functions that the scripts share.
const PRELUDE: &str = r#"
local RANK = {queued = 0, splitting = 1, encoding = 2, assembling = 3, completed = 4, failed = 4, cancelled = 4}
local STAGE = {splitting = 'split', encoding = 'encode', assembling = 'assemble'}
local ENDED = 4

-- Milliseconds since 1970: one clock for all workers.
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function rank_of(job)
  return RANK[redis.call('HGET', job, 'status') or '']
end

local function foreign(job)
  return redis.error_reply('FOREIGN ' .. job .. ' is a hash without a job status')
end

local function create(job, now, content)
  redis.call('HSET', job, 'status', 'queued', 'stage', '', 'progress', '0', 'sequence', '0', 'created_at', now,
    'updated_at', now, 'content', content, 'chunks_total', '0', 'chunks_done', '0', 'cancel_requested', '0')
end

-- Follows the clock, so that the numbers of a job go on growing after Redis came back empty.
local function next_sequence(job)
  local number = math.max(clock(), (tonumber(redis.call('HGET', job, 'sequence') or '') or 0) + 1)
  redis.call('HSET', job, 'sequence', number)
  return number
end

-- Parts of a plan that are chunks: all but the audio track.
local function chunks_in(parts)
  return redis.call('HLEN', parts) - redis.call('HEXISTS', parts, 'audio')
end

-- Whether the job follows that plan and has not ended.
local function follows(job, fingerprint)
  local rank = rank_of(job)
  return rank and rank < ENDED and redis.call('HGET', job, 'fingerprint') == fingerprint
end

local function side_keys(job)
  local keys = {job .. ':attempts', job .. ':fingerprints'}
  for _, fingerprint in ipairs(redis.call('SMEMBERS', job .. ':fingerprints')) do
    keys[#keys + 1] = job .. ':parts:' .. fingerprint
  end
  return keys
end

-- An ended job goes with all that belongs to it, in one moment.
local function expire(job, ttl)
  local at = clock() + ttl
  for _, key in ipairs(side_keys(job)) do
    redis.call('PEXPIREAT', key, at)
  end
  redis.call('PEXPIREAT', job, at)
end

-- A side key lives as long as its checkpoint, and without one as long as an ended job.
local function bind(job, key, ttl)
  local left = redis.call('PTTL', job)
  if left == -2 then
    redis.call('PEXPIRE', key, ttl)
  elseif left >= 0 then
    redis.call('PEXPIRE', key, math.max(left, 1))
  end
end
"#;

macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident = $lua:literal;)*) => {
        $($(#[$doc])* pub(super) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(&format!("{PRELUDE}{}", $lua)));)*
    };
}

scripts! {
    /// Creates a checkpoint that is not there, and gives the one in force. Side keys that are older than it (Redis had
    /// come back empty) are kept from now on, and so is a job that was opened again. A checkpoint whose content is not
    /// known learns it.
    OPEN = r#"
local job = KEYS[1]
local now, content = ARGV[1], ARGV[2]
if redis.call('EXISTS', job) == 0 then
  create(job, now, content)
elseif redis.call('HGET', job, 'content') == '' then
  redis.call('HSET', job, 'content', content)
end
if (rank_of(job) or ENDED) < ENDED then
  redis.call('PERSIST', job)
  for _, key in ipairs(side_keys(job)) do
    redis.call('PERSIST', key)
  end
end
return redis.call('HGETALL', job)
"#;

    /// Gives a hash as it is: a checkpoint or the parts of a plan.
    READ = "return redis.call('HGETALL', KEYS[1])";

    /// Gives one field of such a hash.
    READ_FIELD = "return redis.call('HGET', KEYS[1], ARGV[1])";

    /// `Checkpoint::advance`, and a sequence number where a report is due. Gives nothing for an unknown job,
    /// `{number or nothing, checkpoint}` otherwise. Empty arguments mean "stays as it is".
    ADVANCE = r#"
local job = KEYS[1]
local now, status, progress, fingerprint, chunks, cancel, report, interval, ttl, life, waiting_for = unpack(ARGV)
if redis.call('EXISTS', job) == 0 then
  return false
end
local rank = rank_of(job)
if not rank then
  return foreign(job)
end
local lives = tonumber(redis.call('HGET', job, 'life') or '') or 0
if rank == ENDED or (life ~= '' and tonumber(life) < lives) then
  return {false, redis.call('HGETALL', job)}
end
if life ~= '' and tonumber(life) > lives and redis.call('HEXISTS', job, 'fingerprint') == 1 then
  redis.call('HSET', job, 'life', life)
end
local moves = false
if status ~= '' and RANK[status] > rank then
  rank = RANK[status]
  moves = true
  redis.call('HSET', job, 'status', status)
  if STAGE[status] then
    redis.call('HSET', job, 'stage', STAGE[status])
  end
end
if rank > 0 then
  redis.call('HSETNX', job, 'started_at', now)
end
-- Compared as numbers, kept as the text that was given: it reads back as the same number.
if progress ~= '' and tonumber(progress) > (tonumber(redis.call('HGET', job, 'progress') or '') or 0) then
  redis.call('HSET', job, 'progress', progress)
  moves = true
end
if chunks ~= '' then
  if redis.call('HGET', job, 'fingerprint') ~= fingerprint then
    redis.call('HSET', job, 'fingerprint', fingerprint, 'chunks_done', chunks_in(job .. ':parts:' .. fingerprint))
    moves = true
  end
  redis.call('HSET', job, 'chunks_total', chunks)
end
if cancel == '1' then
  redis.call('HSET', job, 'cancel_requested', '1')
end
if waiting_for ~= '' then
  redis.call('HSET', job, 'waiting_for', waiting_for)
elseif moves then
  redis.call('HDEL', job, 'waiting_for')
end
redis.call('HSET', job, 'updated_at', now)
if rank == ENDED then
  expire(job, ttl)
end
local number = false
if report == '1' and rank < ENDED then
  local time = clock()
  local last = tonumber(redis.call('HGET', job, 'report_at') or '') or 0
  -- A clock that was set back must not silence the job.
  if time - last >= tonumber(interval) or time < last then
    redis.call('HSET', job, 'report_at', time)
    number = next_sequence(job)
  end
end
return {number, redis.call('HGETALL', job)}
"#;

    /// Ends a job and puts its last report into the outbox: 1 for the first end, 0 for any other. The report comes as
    /// the text before and after its sequence number. A job that Redis has lost is made from what the report says.
    FINISH = r#"
local job, reports, order = KEYS[1], KEYS[2], KEYS[3]
local job_id, now, status, failure, before, after, ttl, progress, done, total = unpack(ARGV)
if redis.call('EXISTS', job) == 0 then
  create(job, now, '')
  redis.call('HSET', job, 'progress', progress, 'chunks_done', done, 'chunks_total', total)
end
local rank = rank_of(job)
if not rank then
  return foreign(job)
end
if rank == ENDED then
  return 0
end
redis.call('HSET', job, 'status', status, 'updated_at', now, 'completed_at', now)
redis.call('HDEL', job, 'waiting_for')
if status == 'completed' then
  redis.call('HSET', job, 'progress', '100')
end
if failure ~= '' then
  redis.call('HSET', job, 'error', failure)
end
local report = before .. string.format('%.0f', next_sequence(job)) .. after
local last = redis.call('ZREVRANGE', order, 0, 0, 'WITHSCORES')
redis.call('HSET', reports, job_id, report)
redis.call('ZADD', order, (tonumber(last[2]) or 0) + 1, job_id)
expire(job, ttl)
return 1
"#;

    /// Lets a job begin anew that has failed or is not known, until it is opened only for as long as an ended one is
    /// kept: `{1, what was known}`, or `{0, what is in force}`. The number at which a generation (the field `life`) begins is one of its sequence.
    REOPEN = r#"
local job = KEYS[1]
local now, content, ttl = unpack(ARGV)
local found = redis.call('HGETALL', job)
if #found > 0 then
  if not rank_of(job) then
    return foreign(job)
  end
  local known = redis.call('HGET', job, 'content')
  if redis.call('HGET', job, 'status') ~= 'failed' or (known ~= content and known ~= '') then
    return {0, found}
  end
end
local life = next_sequence(job)
for _, key in ipairs(side_keys(job)) do
  redis.call('DEL', key)
end
redis.call('DEL', job)
create(job, now, content)
redis.call('HSET', job, 'sequence', life, 'life', life)
redis.call('PEXPIRE', job, ttl)
return {1, found}
"#;

    /// Records a part if its unit has none. Gives the part in force and the number of units that have one.
    RECORD = r#"
local job, parts = KEYS[1], KEYS[2]
local fingerprint, unit, part, now, ttl = unpack(ARGV)
local new = redis.call('HSETNX', parts, unit, part) == 1
redis.call('SADD', job .. ':fingerprints', fingerprint)
bind(job, parts, ttl)
bind(job, job .. ':fingerprints', ttl)
if new and follows(job, fingerprint) then
  redis.call('HSET', job, 'chunks_done', chunks_in(parts), 'updated_at', now)
  redis.call('HDEL', job, 'waiting_for')
end
return {redis.call('HGET', parts, unit), redis.call('HLEN', parts)}
"#;

    /// Forgets the part of a unit.
    FORGET = r#"
local job, parts = KEYS[1], KEYS[2]
local fingerprint, unit = ARGV[1], ARGV[2]
redis.call('HDEL', parts, unit)
if follows(job, fingerprint) then
  redis.call('HSET', job, 'chunks_done', chunks_in(parts))
end
return 0
"#;

    /// Counts an attempt of a task.
    COUNT_ATTEMPT = r#"
local job = KEYS[1]
local task, ttl = ARGV[1], ARGV[2]
local count = redis.call('HINCRBY', job .. ':attempts', task, 1)
bind(job, job .. ':attempts', ttl)
return count
"#;

    /// Takes back the count of an attempt, never below zero. Makes no key and leaves the time to live of one as it is.
    RETURN_ATTEMPT = r#"
local attempts, task = KEYS[1] .. ':attempts', ARGV[1]
if (tonumber(redis.call('HGET', attempts, task) or '') or 0) > 0 then
  redis.call('HINCRBY', attempts, task, -1)
end
return 0
"#;

    /// Takes a lease that is free, or renews one's own: 1, or 0 where another owner has it.
    HOLD = r#"
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"#;

    /// Gives a lease back, if the owner still has it.
    RELEASE = r#"
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
return 0
"#;

    /// Writes down what a worker says of itself, and when it is to be forgotten.
    ANNOUNCE = r#"
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', clock())
redis.call('ZADD', KEYS[2], clock() + ARGV[3], ARGV[1])
return 0
"#;

    /// The workers that are not to be forgotten yet: the index saves a search through all keys of the database.
    WORKERS = r#"
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', clock())
local found = {}
for _, worker in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local info = redis.call('GET', ARGV[1] .. worker)
  if info then
    found[#found + 1] = info
  end
end
return found
"#;

    /// The oldest last reports, each after the job it belongs to.
    PENDING = r#"
local found = {}
for _, job_id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '+inf', 'LIMIT', 0, ARGV[1])) do
  found[#found + 1] = {job_id, redis.call('HGET', KEYS[1], job_id)}
end
return found
"#;

    /// Removes a last report, if it is the one with this number. The number is looked for as text, as FINISH wrote it;
    /// inside of a string of the report its quotes would have a backslash.
    DELIVERED = r#"
local report = redis.call('HGET', KEYS[1], ARGV[1])
if not report or string.find(report, '"sequence":' .. ARGV[2] .. ',', 1, true) then
  redis.call('HDEL', KEYS[1], ARGV[1])
  redis.call('ZREM', KEYS[2], ARGV[1])
end
return 0
"#;
}
