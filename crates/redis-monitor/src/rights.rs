//! Whether the server has every command that the pattern crates use, and lets this user run them.

use crate::node::Node;
use redis_patterns_core::{Args, Error, Namespace, Tag};

const RIGHTS: &str = include_str!("scripts/rights.lua");

/// Every command of the five crates, well formed; `K` stands for a key of the namespace, `C` for
/// a channel of it.
pub(crate) const COMMANDS: [&str; 57] = [
    "BLMOVE K K RIGHT LEFT 1",
    "COMMAND INFO GET",
    "DECRBY K 1",
    "DEL K",
    "EVAL return 1 K",
    "EVALSHA 0 1 K",
    "EXISTS K",
    "GET K",
    "GETRANGE K 0 1",
    "HDEL K f",
    "HEXISTS K f",
    "HGET K f",
    "HGETALL K",
    "HINCRBY K f 1",
    "HMGET K f",
    "HSET K f v",
    "INCR K",
    "INCRBY K 1",
    "INFO",
    "LINDEX K 0",
    "LLEN K",
    "LPOP K",
    "LPUSH K v",
    "LRANGE K 0 1",
    "LREM K 1 v",
    "LTRIM K 0 1",
    "PEXPIRE K 1",
    "PEXPIRETIME K",
    "PING",
    "PTTL K",
    "PUBSUB SHARDNUMSUB C",
    "RPOP K",
    "RPUSH K v",
    "SET K v",
    "SETRANGE K 0 v",
    "SPUBLISH C v",
    "SSUBSCRIBE C",
    "SUNSUBSCRIBE C",
    "TIME",
    "TTL K",
    "UNLINK K",
    "WAIT 0 1",
    "XADD K * f v",
    "XDEL K 0-1",
    "XLEN K",
    "XRANGE K - +",
    "ZADD K 1 v",
    "ZCARD K",
    "ZCOUNT K 0 1",
    "ZRANGE K 0 1",
    "ZRANGEBYSCORE K 0 1",
    "ZREM K v",
    "ZREMRANGEBYSCORE K 0 1",
    "ZREVRANGEBYSCORE K 1 0",
    "ZSCORE K v",
    "CLIENT SETNAME v",
    "CLUSTER SLOTS",
];

/// What stands against the patterns' commands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rights {
    pub(crate) missing: Vec<String>,
    pub(crate) refused: Vec<String>,
}

/// Asks about all commands at once; none is run.
pub(crate) async fn ask(node: &Node, namespace: &Namespace) -> Result<Rights, Error> {
    let key = namespace.key("doctor", &Tag::of("probe"));
    // No word has a character that JSON would escape.
    let word = |word| format!("\"{}\"", if matches!(word, "K" | "C") { key.as_str() } else { word });
    let spelt =
        COMMANDS.map(|command| format!("[{}]", command.split(' ').map(word).collect::<Vec<_>>().join(",")));
    let args = Args::new().word(RIGHTS).int(0).bytes(format!("[{}]", spelt.join(",")));
    let answers: Vec<i64> = match node.ask("EVAL", &args).await {
        Ok(answers) => answers,
        Err(error) if error.code() == Some("NOPERM") => {
            return Ok(Rights { missing: Vec::new(), refused: vec!["EVAL".into()] });
        }
        Err(error) => return Err(error),
    };
    let of = |wanted| {
        let commands = COMMANDS.iter().zip(&answers).filter(move |(_, answer)| **answer == wanted);
        commands.map(|(command, _)| name(command)).collect()
    };
    Ok(Rights { missing: of(-1), refused: of(0) })
}

/// `PUBSUB SHARDNUMSUB` of `PUBSUB SHARDNUMSUB C`: what is in capitals before the first argument.
fn name(command: &str) -> String {
    let words =
        command.split(' ').take_while(|word| word.len() > 1 && word.bytes().all(|b| b.is_ascii_uppercase()));
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_named_without_its_arguments() {
        assert_eq!(name("PUBSUB SHARDNUMSUB C"), "PUBSUB SHARDNUMSUB");
        assert_eq!(name("BLMOVE K K RIGHT LEFT 1"), "BLMOVE");
        assert_eq!(name("INFO"), "INFO");
    }

    /// The scripts of the pattern crates, where they stand beside this one.
    fn scripts(folder: &std::path::Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                scripts(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "lua") {
                found.push(std::fs::read_to_string(path).unwrap());
            }
        }
    }

    #[test]
    fn every_command_of_a_script_is_asked_about() {
        let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut found = Vec::new();
        for pattern in ["ratelimit", "lock", "idem", "session", "queue"] {
            scripts(&crates.join(format!("redis-{pattern}/src")), &mut found);
        }
        let known: Vec<_> = COMMANDS.iter().filter_map(|command| command.split(' ').next()).collect();
        for text in &found {
            for call in text.split("redis.call('").skip(1) {
                let command = call.split('\'').next().unwrap();
                assert!(known.contains(&command), "{command} is not in COMMANDS");
            }
        }
    }
}
