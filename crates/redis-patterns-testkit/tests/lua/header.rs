//! Rules of the first line and of the header.

use super::{GOOD, breaks, check, keeps};

#[test]
fn first_line_and_flags() {
    keeps(&GOOD.replace("#!lua flags=allow-oom", "#!lua"));
    keeps(&GOOD.replace("flags=allow-oom", "flags=allow-oom,allow-stale"));
    breaks(&GOOD.replace("#!lua flags=allow-oom", "-- x: y."), 1, "the first line is `#!lua`");
    breaks(&GOOD.replace("allow-oom", "allow-ooms"), 1, "unknown flag");
    breaks(&GOOD.replace("allow-oom", "no-cluster"), 1, "runs on a cluster");
    breaks(&GOOD.replace("allow-oom", "allow-oom,allow-cross-slot-keys"), 1, "keys of one slot");
    breaks(&GOOD.replace("flags=", "name="), 1, "is no `flags=a,b`");
}

#[test]
fn no_writes_is_said_and_held() {
    let read = "#!lua flags=no-writes
-- release: look.
-- KEYS[1] lock  string
-- returns  the value | false when free
-- replay   the same
return redis.call('GET', KEYS[1])
";
    keeps(read);
    breaks(&read.replace(" flags=no-writes", ""), 1, "flag it");
    breaks(&GOOD.replace("allow-oom", "no-writes"), 8, "DEL in a script flagged no-writes");
    breaks(&read.replace("'GET', KEYS[1]", "'PUBLISH', KEYS[1], ''"), 6, "PUBLISH in a script flagged");
}

#[test]
fn title_returns_and_replay_are_there() {
    breaks(&GOOD.replace("-- release:", "-- acquire:"), 2, "named as the file");
    breaks(&GOOD.replace("still holds it.", "still holds it"), 2, "`-- release: what it does.`");
    breaks(&GOOD.replace("-- returns  1 freed | 0 not held by this token\n", ""), 2, "lacks `-- returns");
    breaks(
        &GOOD.replace("-- replay   a second run answers 0 and writes nothing\n", ""),
        2,
        "lacks `-- replay",
    );
    keeps(&GOOD.replace("it.\n", "it,\n--   and only then.\n"));
}

#[test]
fn header_indexes_are_those_of_the_body() {
    breaks(&GOOD.replace("-- ARGV[1] token  bytes\n", ""), 6, "ARGV[1] is used here");
    breaks(&GOOD.replace("-- returns", "-- ARGV[2] ttl  ms\n-- returns"), 5, "the body does not use it");
    breaks(&GOOD.replace("'DEL', KEYS[1]", "'DEL', KEYS[2]"), 8, "KEYS[2] is used here");
    breaks(&GOOD.replace("-- ARGV[1] token  bytes", "-- ARGV[1] token"), 4, "needs a name and what it holds");
    breaks(&GOOD.replace("-- KEYS[1]", "-- KEYS[1..n]"), 2, "does not walk KEYS");
    breaks(&GOOD.replace("'DEL', KEYS[1]", "'DEL', KEYS[#KEYS]"), 8, "write `KEYS[2..]`");
    keeps(
        &GOOD
            .replace("-- ARGV", "-- KEYS[2..] more  string\n-- ARGV")
            .replace("'DEL', KEYS[1]", "'DEL', KEYS[#KEYS]"),
    );
    let gap = check(&GOOD.replace("-- ARGV[1]", "-- ARGV[2]"));
    assert!(gap[0].text.contains("where `ARGV[1]` or `ARGV[1..]` was expected"), "{gap:?}");
}

#[test]
fn codes_of_the_header_are_those_of_the_body() {
    breaks(&GOOD.replace("held by this token", "held | 2 taken"), 5, "lists 2, which the body never returns");
    breaks(&GOOD.replace("1 freed | 0", "0"), 9, "returns 1, which the header's `returns` does not list");
    keeps(&GOOD.replace("return 0", "return {0, 7}").replace("0 not held", "{0, left ms} not held"));
    keeps(&GOOD.replace("token\n-- replay", "\n--          token\n-- replay"));
    let nested = GOOD.replace("return 0", "return {0, -1}").replace("return 1", "return {1, 5}");
    let line = "{1 freed | 0 not held, ms left | -1 none}";
    keeps(&nested.replace("1 freed | 0 not held by this token", line));
    breaks(&nested.replace("1 freed | 0 not held by this token", "{1 freed, ms | 0 none}"), 7, "returns 0");
    let computed = GOOD.replace("return 1", "return first and 1 or 3");
    breaks(&computed, 9, "returns 3");
    keeps(&computed.replace("1 freed", "1 freed | 3 freed late"));
    // What is computed, or what the header leaves open, cannot be compared.
    keeps(&GOOD.replace("return 1", "return redis.call('TIME')[1]").replace("0 not", "9 late | 0 not"));
    keeps(&GOOD.replace("1 freed", "seconds since then"));
    // A helper's return is not a reply.
    keeps(&GOOD.replace("if redis", "local function two() return 2 end\nif redis"));
}
