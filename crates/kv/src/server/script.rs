//! What has to happen in the store at once, each in one round trip. Scripts read no other clock than the store's.

use redis::{Cmd, cmd};

/// A script and its name in the store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Script {
    text: &'static str,
}

impl Script {
    /// KEYS: counter. ARGV: change, window in ms. Answers its value and what is left of its window in ms. The window begins
    /// with the first addition and is never prolonged.
    pub(super) const COUNT: Self = Self {
        text: "
if tonumber(ARGV[1]) < 0 and redis.call('EXISTS', KEYS[1]) == 0 then return {0, 0} end
local value = redis.call('INCRBY', KEYS[1], ARGV[1])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  left = tonumber(ARGV[2])
end
return {value, left}",
    };

    /// KEYS: lease. ARGV: owner, ttl in ms. Answers whether it is granted, the holder's token, what is left in ms.
    ///
    /// A token is the store's time in µs, and always greater than the one before. What is known of a lease outlives it by a
    /// day; then the time alone is greater, unless a server's clock was set back by more than that.
    pub(super) const ACQUIRE: Self = Self {
        text: "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'owner', 'token', 'until')
local last = tonumber(held[2] or '0')
local left = tonumber(held[3] or '0') - now
if left > 0 then
  local own = held[1] == ARGV[1]
  return {own and 1 or 0, last, left}
end
local token = math.max(last + 1, time[1] * 1000000 + time[2])
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'token', string.format('%.0f', token), 'until', string.format('%.0f', now + ARGV[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[2] + 86400000)
return {1, token, tonumber(ARGV[2])}",
    };

    /// KEYS: lease. ARGV: owner, ttl in ms. Answers whether it was the owner's and is prolonged.
    pub(super) const RENEW: Self = Self {
        text: "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'owner', 'until')
if held[1] ~= ARGV[1] or tonumber(held[2] or '0') <= now then return 0 end
redis.call('HSET', KEYS[1], 'until', string.format('%.0f', now + ARGV[2]))
redis.call('PEXPIRE', KEYS[1], ARGV[2] + 86400000)
return 1",
    };

    /// KEYS: lease. ARGV: owner. Answers whether it was the owner's. Its token is kept.
    pub(super) const RELEASE: Self = Self {
        text: "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'owner', 'until')
if held[1] ~= ARGV[1] or tonumber(held[2] or '0') <= now then return 0 end
redis.call('HSET', KEYS[1], 'until', '0')
return 1",
    };

    /// KEYS: sequence. ARGV: SPUBLISH or PUBLISH, channel, generation, payload. Sends the next message of a channel.
    pub(super) const PUBLISH: Self = Self {
        text: "
local number = redis.call('INCR', KEYS[1])
redis.call(ARGV[1], ARGV[2], 'm' .. number .. ':' .. ARGV[3] .. ':' .. ARGV[4])
return number",
    };

    /// KEYS: sequence. ARGV: SPUBLISH or PUBLISH, channel, generation. Leaves out a number, so that everybody hears of a gap.
    pub(super) const SKIP: Self = Self {
        text: "
local number = redis.call('INCR', KEYS[1])
redis.call(ARGV[1], ARGV[2], 'h' .. number .. ':' .. ARGV[3] .. ':')
return number",
    };

    /// KEYS: sequence, beat. ARGV: SPUBLISH or PUBLISH, channel, generation, pause in ms. Sends a heartbeat unless somebody
    /// did lately; answers the number of the last message.
    pub(super) const BEAT: Self = Self {
        text: "
local number = redis.call('GET', KEYS[1]) or '0'
if redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[4]) then
  redis.call(ARGV[1], ARGV[2], 'h' .. number .. ':' .. ARGV[3] .. ':')
end
return tonumber(number)",
    };

    /// KEYS: generation. ARGV: the one known here, how many to add. It never goes back, also when the store lost its data.
    pub(super) const GENERATION: Self = Self {
        text: "
local stored = tonumber(redis.call('GET', KEYS[1]) or '0')
local generation = math.max(stored, tonumber(ARGV[1])) + tonumber(ARGV[2])
if generation > stored then redis.call('SET', KEYS[1], string.format('%.0f', generation)) end
return generation",
    };

    pub(super) fn call_by_hash(self, keys: &[&str], arguments: &[impl AsRef<[u8]>]) -> Cmd {
        call("EVALSHA", redis::Script::new(self.text).get_hash(), keys, arguments)
    }

    pub(super) fn call_by_text(self, keys: &[&str], arguments: &[impl AsRef<[u8]>]) -> Cmd {
        call("EVAL", self.text, keys, arguments)
    }
}

fn call(verb: &str, script: &str, keys: &[&str], arguments: &[impl AsRef<[u8]>]) -> Cmd {
    let mut call = cmd(verb);
    call.arg(script).arg(keys.len()).arg(keys);
    for argument in arguments {
        call.arg(argument.as_ref());
    }
    call
}
