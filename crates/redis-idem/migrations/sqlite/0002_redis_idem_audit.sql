-- The audit trail (sql::SqlTrail): entries are added and deleted by age, and never changed.
CREATE TABLE IF NOT EXISTS redis_idem_audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    request TEXT NOT NULL,
    event TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    fingerprint BLOB NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS redis_idem_audit_request ON redis_idem_audit (request, number);
CREATE INDEX IF NOT EXISTS redis_idem_audit_age ON redis_idem_audit (at);
CREATE TRIGGER IF NOT EXISTS redis_idem_audit_stays BEFORE UPDATE ON redis_idem_audit
    BEGIN SELECT RAISE(ABORT, 'entries of redis_idem_audit are not changed'); END;
