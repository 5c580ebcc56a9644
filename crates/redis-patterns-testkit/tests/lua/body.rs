//! Rules of the body: keys, commands, loops, order.

use super::{before_write, body_breaks, breaks, check, keeps, with_body};

#[test]
fn keys_are_declared_whole() {
    for good in [
        "redis.call('SET', KEYS[2], ARGV[1])",
        "local a, b = KEYS[1], KEYS[2]\nredis.call('RENAME', a, b)",
        "for _, key in ipairs(KEYS) do redis.call('INCR', key) end",
        "for i = 1, #KEYS do redis.call('INCR', KEYS[i + 0]) end",
        "redis.call('DEL', unpack(KEYS, 1, 2))",
        "redis.call('ZUNIONSTORE', KEYS[1], 2, KEYS[1], KEYS[2], 'WEIGHTS', 1, 2)",
        "redis.pcall('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', 1, 'STREAMS', KEYS[1], '>')",
        "redis.call('PUBLISH', ARGV[1], 'a' .. 'b')",
        "local now = redis.call('TIME')",
        "redis.call('HSET', KEYS[1], 'a' .. ARGV[1], [[KEYS[1] .. 'in a text']])",
        "-- redis.call('SET', 'in a comment')",
        "local t = { first = ARGV[1] }\nredis.call('DEL', first)",
        "local function f(key, n) redis.call('DEL', key) end f(KEYS[1], 2) f(first, 2)",
        "local function f(n, to_key) redis.call('DEL', to_key) end f(2, KEYS[1])",
        "local function f(key) redis.call('DEL', key) end local t = { g = f } t.g(KEYS[2])",
    ] {
        keeps(&with_body(good));
    }
    for (bad, says) in [
        ("redis.call('SET', ARGV[1], 1)", "the key is KEYS[..]"),
        ("redis.call('SET', 'lock', 1)", "the key is KEYS[..]"),
        ("redis.call('SET', KEYS[1] .. ':x', 1)", "the key is built here"),
        ("redis.call('SET', name, 1)", "the key is KEYS[..]"),
        ("local k = KEYS[1] .. 'x' redis.call('DEL', k)", "the key is KEYS[..]"),
        ("local k = KEYS[1] k = ARGV[1] redis.call('DEL', k)", "the key is KEYS[..]"),
        ("local a, b = KEYS[1], ARGV[1] redis.call('DEL', a, b)", "DEL: the key"),
        ("for _, k in ipairs(ARGV) do redis.call('DEL', k) end", "DEL: the key"),
        ("local function f(name) redis.call('DEL', name) end", "DEL: the key"),
        ("local function f(key) redis.call('DEL', key) end f(ARGV[1])", "f: argument 1 is a key"),
        ("local function f(key) redis.call('DEL', key) end f(KEYS[1] .. 'x')", "f: argument 1 is a key"),
        ("local function f(n, key) redis.call('DEL', key) end f(KEYS[1])", "f: argument 2 is a key"),
        ("local function f(key) redis.call('DEL', key) end local t = { g = f } t.g('x')", "g: argument 1"),
        ("local t = { g = function(key) redis.call('DEL', key) end } t.g('x')", "g: argument 1 is a key"),
        ("redis.call('RENAME', KEYS[1], ARGV[1])", "RENAME: the key"),
        ("redis.call('PUBLISH', 'news', 1)", "PUBLISH: the key"),
        ("redis.call('XREAD', 'COUNT', 1, 'STREAMS', ARGV[1], 0)", "XREAD: the key"),
        ("redis.call('ZUNIONSTORE', KEYS[1], #ARGV, KEYS[1])", "write the number of keys"),
        ("redis.call('DEL')", "DEL without a key"),
    ] {
        body_breaks(bad, says);
    }
}

#[test]
fn commands_are_known_literals() {
    for name in ["KEYS", "scan", "EVAL", "EVALSHA", "SCRIPT", "FLUSHALL", "FLUSHDB", "FCALL"] {
        body_breaks(&format!("redis.call('{name}', KEYS[1])"), "has no place in a script");
    }
    body_breaks("redis.call('NOSUCH', KEYS[1])", "unknown command NOSUCH");
    body_breaks("redis.call(ARGV[1], KEYS[1])", "string literal");
    body_breaks("local call = redis.call", "an alias hides its keys");
    body_breaks("redis['call']('DEL', KEYS[1])", "write redis.call");
}

#[test]
fn loops_end() {
    for good in [
        "for i = 1, 10 do redis.call('INCR', first) end",
        "for i = 1, #ARGV, 2 do redis.call('INCR', first) end",
        "local limit = tonumber(ARGV[2]) for i = 1, limit do redis.call('INCR', first) end",
        "local ids = {} for i = 1, math.min(#ids, 100) - 1 do redis.call('INCR', first) end",
        "local t = {} for _, x in ipairs(t) do redis.call('INCR', first) end",
        "local g local f = function() g() end",
        "local step = 100 for i = #KEYS, 1, -step do redis.call('INCR', first) end",
    ] {
        keeps(&with_body(good));
    }
    for (bad, says) in [
        ("while false do end", "`while` has no bound"),
        ("repeat until true", "`repeat` has no bound"),
        ("for i = 1, redis.call('LLEN', first) do end", "the bound of `for`"),
        ("local n = tonumber(ARGV[1]) n = n * 2 for i = 1, n do end", "the bound of `for`"),
        ("for i = 1, 10, 0 do end", "the step of `for`"),
        ("for _, x in ipairs(redis.call('LRANGE', first, 0, 9)) do end", "`for .. in` walks"),
        ("for w in string.gmatch(ARGV[1], 'x') do end", "`for .. in` walks"),
        ("local function f(n) if n > 0 then f(n - 1) end end", "f calls itself"),
    ] {
        body_breaks(bad, says);
    }
    let mutual = check(&with_body("local g\nlocal function f() g() end\ng = function() f() end"));
    assert_eq!(mutual.iter().map(|f| f.line).collect::<Vec<_>>(), [10, 11], "{mutual:#?}");
}

#[test]
fn unpack_is_chunked_and_numbers_keep_their_digits() {
    keeps(&with_body(
        "for i = 1, #ARGV, 1000 do\nredis.call('RPUSH', first, unpack(ARGV, i, math.min(i + 999, #ARGV)))\nend",
    ));
    keeps(&with_body("local t = {} redis.call('RPUSH', first, unpack(t, 1, 4))"));
    let whole = with_body("redis.call('RPUSH', first, unpack(ARGV, 2, #ARGV))");
    keeps(&whole.replace("value  bytes", "value  bytes, 1 to 1000"));
    keeps(
        &whole
            .replace("value  bytes", "value  bytes, 1 to 1000")
            .replace("string\n", "string, 1 to 86400000 ms\n"),
    );
    breaks(&whole.replace("value  bytes", "value  bytes, 1 to 8000"), 9, "unpack in chunks");
    breaks(&whole.replace("value  bytes", "value  bytes, 1 to 2^53"), 9, "unpack in chunks");
    breaks(&whole.replace("the same", "1 to 1000 times the same"), 9, "unpack in chunks");
    body_breaks("redis.call('RPUSH', first, unpack(ARGV))", "unpack in chunks");
    body_breaks("redis.call('RPUSH', first, unpack(ARGV, 2))", "unpack in chunks");
    body_breaks("redis.call('RPUSH', first, unpack(ARGV, 2, #ARGV))", "unpack in chunks");
    body_breaks("redis.call('SET', first, tostring(1))", "string.format");
    keeps(&with_body("redis.call('SET', first, string.format('%.0f', 1))"));
}

#[test]
fn nothing_is_decided_after_the_first_write() {
    for good in [
        "if count == 1 then return 1 end",
        "if count == 1 then redis.call('INCR', first) return 1 end",
        "if count == 1 then return 1 elseif count == 2 then redis.call('INCR', first) return 2 else return 3 end",
        "if count == 1 then if count == 2 then redis.call('INCR', first) end return 1 end",
        "local function f() redis.call('INCR', first) return 1 end",
        "for i = 1, 3 do if redis.call('GET', KEYS[i]) then return i end end",
        "if not first then return redis.error_reply('x') end",
    ] {
        keeps(&before_write(good));
    }
    keeps(&with_body(
        "local left = redis.call('PTTL', first)\nif left < 0 then redis.call('PEXPIRE', first, 9) end\nreturn {1, left}",
    ));
    body_breaks("if count == 1 then return 1 end", "`return` after a write");
    body_breaks("do return 1 end", "`return` after a write");
    body_breaks("if count == 1 then error('late') end", "an error after a write");
    for bad in [
        "if redis.call('SET', first, 1, 'NX') then return 1 end",
        "if redis.call('SET', first, 1, 'NX') then count = 1 else return 1 end",
        "if count == 1 then redis.call('INCR', first) end if count == 2 then return 2 end",
        "for i = 1, 3 do if count == i then return 1 end redis.call('INCR', first) end",
        "for i = 1, 3 do redis.call('INCR', first) return 1 end",
        "local function f() redis.call('INCR', first) end f() if count == 2 then return 2 end",
        "local f = function() redis.call('INCR', first) end f() if count == 2 then return 2 end",
        "local function f() redis.call('INCR', first) if count == 2 then return 2 end return 1 end",
    ] {
        breaks(&before_write(bad), 8, "`return` after a write");
    }
    let unbalanced = check(&with_body("end"));
    assert!(unbalanced[0].text.contains("do not match"), "{unbalanced:?}");
}
