//! Names of spans and fields, the same in every crate.
//!
//! Field names follow the OpenTelemetry conventions for databases (`db.system.name`,
//! `db.operation.name`, `db.response.status_code`). Keys, ids and tenants are never fields.

/// The target of every event and span.
pub const TARGET: &str = "redis_patterns";
/// The span around one command or script.
pub const SPAN_CALL: &str = "redis.call";
/// The value of `db.system.name`.
pub const DB_SYSTEM: &str = "redis";
/// The prefix of metric names: `redis_patterns_<pattern>_<what>_total`.
pub const METRIC_PREFIX: &str = "redis_patterns";
