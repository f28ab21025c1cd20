-- +goose Up

-- Patients that were merged into others, or are being merged. Nothing is written that refers to one: what a merge has found to move is
-- all that there is.
CREATE TABLE patient_merged (
  rid        bigint      PRIMARY KEY,  -- of the Patient that is no longer one
  until      timestamptz NOT NULL,     -- of a merge that is going on: when it is given up; infinity of one that is done
  provenance text        NOT NULL DEFAULT '' -- id of the Provenance that tells in its first version what was moved
);
COMMENT ON TABLE patient_merged IS 'Patients that nothing may refer to any more';

-- Every write makes its row by INSERT. Patients may link to one another, a Provenance tells what was, and what is only indexed anew, with
-- the hash 0, is no write. AccessExclusiveLock on the table waits for all who have looked here and are not done.
-- +goose StatementBegin
CREATE FUNCTION patient_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM patient_merged m WHERE m.rid = ANY (NEW.refs) AND m.until > clock_timestamp()) THEN
    RAISE EXCEPTION 'the resource refers to a patient who was merged' USING ERRCODE = 'OC001';
  END IF;
  RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER patient_stays BEFORE INSERT ON res FOR EACH ROW WHEN (NEW.hash <> 0 AND NEW.refs <> '{}' AND NEW.type NOT IN (7, 103, 111)) EXECUTE FUNCTION patient_stays();
