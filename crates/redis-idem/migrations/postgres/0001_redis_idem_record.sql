-- Outcomes of requests, one row each, written in the transaction of the work (sql::SqlRecords).
CREATE TABLE IF NOT EXISTS redis_idem_record (
    request TEXT NOT NULL PRIMARY KEY,
    fingerprint BYTEA NOT NULL,
    outcome BYTEA NOT NULL,
    recorded_at BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS redis_idem_record_age ON redis_idem_record (recorded_at);
