-- The audit trail (sql::SqlTrail): entries are added and deleted by age, and never changed.
CREATE TABLE IF NOT EXISTS redis_idem_audit (
    number BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request TEXT NOT NULL,
    event TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    fingerprint BYTEA NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX IF NOT EXISTS redis_idem_audit_request ON redis_idem_audit (request, number);
CREATE INDEX IF NOT EXISTS redis_idem_audit_age ON redis_idem_audit (at);
CREATE OR REPLACE FUNCTION redis_idem_audit_stays() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'entries of redis_idem_audit are not changed'; END $$;
CREATE OR REPLACE TRIGGER redis_idem_audit_stays BEFORE UPDATE ON redis_idem_audit
    FOR EACH ROW EXECUTE FUNCTION redis_idem_audit_stays();
