//! The commands a script may call: where their keys are and whether they change anything.
//!
//! A command that is not here is a finding, so that nobody has to guess for it; add it with its row
//! of the server's command table.

/// Which arguments (counted after the command's name) are keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    /// None at all.
    None,
    /// The first.
    First,
    /// The first two.
    FirstTwo,
    /// Every one.
    All,
    /// Every other one, from the first: key and value pairs.
    Pairs,
    /// The second, after a subcommand.
    Second,
    /// Everything from the second on, after an operator.
    AfterFirst,
    /// As many as the number at this index says, right after it; those before it are keys too.
    Counted(usize),
    /// The first half of what follows the word `STREAMS`.
    Streams,
    /// A channel: not a key, but chosen by the caller as one.
    Channel,
}

/// One command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Command {
    pub(super) keys: Keys,
    /// Changes data or must reach the replicas; the server refuses it in a `no-writes` script.
    pub(super) writes: bool,
}

const READ_FIRST: &str = "GET STRLEN GETRANGE GETBIT BITCOUNT BITPOS TTL PTTL EXPIRETIME PEXPIRETIME TYPE \
    DUMP HGET HMGET HGETALL HEXISTS HLEN HKEYS HVALS HSTRLEN HSCAN HRANDFIELD HPTTL HTTL \
    LLEN LRANGE LINDEX LPOS SCARD SISMEMBER SMISMEMBER SMEMBERS SRANDMEMBER SSCAN \
    ZCARD ZCOUNT ZSCORE ZMSCORE ZRANK ZREVRANK ZRANGE ZREVRANGE ZRANGEBYSCORE ZREVRANGEBYSCORE ZRANGEBYLEX \
    ZLEXCOUNT ZRANDMEMBER ZSCAN XLEN XRANGE XREVRANGE XPENDING";
const WRITE_FIRST: &str = "SET SETEX PSETEX SETNX SETRANGE SETBIT GETSET GETDEL GETEX APPEND BITFIELD \
    INCR INCRBY INCRBYFLOAT DECR DECRBY EXPIRE PEXPIRE EXPIREAT PEXPIREAT PERSIST RESTORE \
    HSET HMSET HSETNX HDEL HINCRBY HINCRBYFLOAT HEXPIRE HPEXPIRE HPEXPIREAT HPERSIST \
    LPUSH RPUSH LPUSHX RPUSHX LPOP RPOP LREM LTRIM LSET LINSERT SADD SREM SPOP \
    ZADD ZREM ZINCRBY ZPOPMIN ZPOPMAX ZREMRANGEBYSCORE ZREMRANGEBYRANK ZREMRANGEBYLEX \
    XADD XDEL XTRIM XACK XCLAIM XAUTOCLAIM XSETID PFADD";
const FORBIDDEN: &str = "KEYS SCAN RANDOMKEY EVAL EVAL_RO EVALSHA EVALSHA_RO FCALL FCALL_RO FUNCTION SCRIPT \
    FLUSHALL FLUSHDB SELECT MOVE SWAPDB CONFIG DEBUG SHUTDOWN";

/// The row of a command, by its name in capitals.
pub(super) fn known(name: &str) -> Option<Command> {
    let (keys, writes) = match name {
        "TIME" => (Keys::None, false),
        "PUBLISH" | "SPUBLISH" => (Keys::Channel, true),
        "EXISTS" | "MGET" | "TOUCH" | "SINTER" | "SUNION" | "SDIFF" => (Keys::All, false),
        // PFCOUNT may have to reach the replicas, which counts as a write for the server.
        "DEL" | "UNLINK" | "PFCOUNT" | "PFMERGE" | "SINTERSTORE" | "SUNIONSTORE" | "SDIFFSTORE" => {
            (Keys::All, true)
        }
        "MSET" | "MSETNX" => (Keys::Pairs, true),
        "RENAME" | "RENAMENX" | "COPY" | "LMOVE" | "RPOPLPUSH" | "SMOVE" | "ZRANGESTORE" => {
            (Keys::FirstTwo, true)
        }
        "OBJECT" | "XINFO" | "MEMORY" => (Keys::Second, false),
        // Only its subcommands that ask; they are not told apart from one another here.
        "PUBSUB" => (Keys::Second, false),
        "XGROUP" => (Keys::Second, true),
        "BITOP" => (Keys::AfterFirst, true),
        "ZDIFF" | "ZINTER" | "ZUNION" | "SINTERCARD" | "ZINTERCARD" => (Keys::Counted(0), false),
        "LMPOP" | "ZMPOP" => (Keys::Counted(0), true),
        "ZDIFFSTORE" | "ZINTERSTORE" | "ZUNIONSTORE" => (Keys::Counted(1), true),
        "XREAD" => (Keys::Streams, false),
        "XREADGROUP" => (Keys::Streams, true),
        _ if READ_FIRST.split_whitespace().any(|c| c == name) => (Keys::First, false),
        _ if WRITE_FIRST.split_whitespace().any(|c| c == name) => (Keys::First, true),
        _ => return None,
    };
    Some(Command { keys, writes })
}

/// Whether no script may call this: it scans, empties or reconfigures the server, or runs other
/// scripts.
pub(super) fn is_forbidden(name: &str) -> bool {
    FORBIDDEN.split_whitespace().any(|c| c == name)
}
