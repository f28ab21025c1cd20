-- The database after all migrations, for reading. The files in sql say why, and are what to change.
-- make schema writes this file.

CREATE SEQUENCE change_seq START WITH 1 INCREMENT BY 1 NO MINVALUE NO MAXVALUE CACHE 1;

CREATE TABLE access_event (
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    seq bigint DEFAULT nextval('change_seq'::regclass) NOT NULL,
    rid bigint NOT NULL,
    ver integer NOT NULL,
    old_acl bigint[] NOT NULL,
    new_acl bigint[] NOT NULL,
    reason text NOT NULL
);
COMMENT ON TABLE access_event IS 'Changes of who may see a resource that made no version of it';
ALTER TABLE access_event ADD CONSTRAINT access_event_pkey PRIMARY KEY (rid, seq);
CREATE INDEX access_event_feed ON access_event USING btree (xid, seq);
CREATE INDEX access_event_seq ON access_event USING btree (seq);

CREATE TABLE audit (
    at timestamptz DEFAULT clock_timestamp() NOT NULL,
    seq bigint NOT NULL,
    request_id text NOT NULL,
    interaction text NOT NULL,
    outcome smallint NOT NULL,
    client text,
    agent text,
    origin text,
    type smallint,
    rid bigint,
    ver integer,
    patients bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    detail jsonb
);
COMMENT ON TABLE audit IS 'Who did what; append-only, read as AuditEvent';
ALTER TABLE audit ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY ( SEQUENCE NAME audit_seq_seq START WITH 1 INCREMENT BY 1 NO MINVALUE NO MAXVALUE CACHE 1 );
ALTER TABLE audit ADD CONSTRAINT audit_pkey PRIMARY KEY (at, seq);

CREATE TABLE idempotency (
    client text NOT NULL,
    key text NOT NULL,
    method text NOT NULL,
    path text NOT NULL,
    body_hash bytea NOT NULL,
    status smallint,
    headers jsonb,
    rid bigint,
    ver integer,
    created timestamptz DEFAULT now() NOT NULL
);
COMMENT ON TABLE idempotency IS 'Answers to writes that may be repeated';
ALTER TABLE idempotency ADD CONSTRAINT idempotency_pkey PRIMARY KEY (client, key);
CREATE INDEX idempotency_created ON idempotency USING btree (created);

CREATE TABLE installation (
    id boolean DEFAULT true NOT NULL,
    hash_secret bytea NOT NULL,
    signing_key bytea NOT NULL,
    cursor_key bytea NOT NULL,
    feed_generation bigint DEFAULT 1 NOT NULL,
    base_url text,
    created timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT installation_cursor_key_check CHECK ((length(cursor_key) = 32)),
    CONSTRAINT installation_hash_secret_check CHECK ((length(hash_secret) = 16)),
    CONSTRAINT installation_id_check CHECK (id),
    CONSTRAINT installation_signing_key_check CHECK ((length(signing_key) = 32))
);
COMMENT ON TABLE installation IS 'Secrets, feed generation and public address: one row';
ALTER TABLE installation ADD CONSTRAINT installation_pkey PRIMARY KEY (id);

CREATE TABLE reindex_job (
    job bigint NOT NULL,
    types smallint[],
    gen integer NOT NULL,
    last_rid bigint,
    done bigint DEFAULT 0 NOT NULL,
    failed bigint DEFAULT 0 NOT NULL,
    state text DEFAULT 'running'::text NOT NULL,
    started timestamptz DEFAULT now() NOT NULL,
    ended timestamptz,
    awaited boolean DEFAULT false NOT NULL,
    CONSTRAINT reindex_job_state_check CHECK ((state = ANY (ARRAY['running'::text, 'done'::text, 'stopped'::text])))
);
COMMENT ON TABLE reindex_job IS 'Rebuilding of search rows, and how far it has come';
ALTER TABLE reindex_job ALTER COLUMN job ADD GENERATED ALWAYS AS IDENTITY ( SEQUENCE NAME reindex_job_job_seq START WITH 1 INCREMENT BY 1 NO MINVALUE NO MAXVALUE CACHE 1 );
ALTER TABLE reindex_job ADD CONSTRAINT reindex_job_pkey PRIMARY KEY (job);
CREATE INDEX reindex_job_running ON reindex_job USING btree (job) WHERE (state = 'running'::text);

CREATE TABLE res (
    rid bigint NOT NULL,
    type smallint NOT NULL,
    ver integer NOT NULL,
    deleted boolean DEFAULT false NOT NULL,
    updated timestamptz NOT NULL,
    t1 timestamptz,
    t1h timestamptz,
    t2 timestamptz,
    t2h timestamptz,
    t3 timestamptz,
    t3h timestamptz,
    s1 text COLLATE "C",
    id text NOT NULL COLLATE "C",
    keys bigint[] NOT NULL,
    refs bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    strs text,
    hash bigint NOT NULL,
    idx_gen integer DEFAULT 0 NOT NULL,
    sorts text COLLATE "C"
)
PARTITION BY LIST (type);
CREATE TABLE res_appointment PARTITION OF res FOR VALUES IN ('5') WITH (autovacuum_vacuum_scale_factor='0.05', autovacuum_analyze_scale_factor='0.02');
CREATE TABLE res_audit_event PARTITION OF res FOR VALUES IN ('7') WITH (autovacuum_vacuum_scale_factor='0.05', autovacuum_analyze_scale_factor='0.02');
CREATE TABLE res_binary PARTITION OF res FOR VALUES IN ('9') WITH (autovacuum_vacuum_scale_factor='0.05', autovacuum_analyze_scale_factor='0.02');
CREATE TABLE res_bundle PARTITION OF res FOR VALUES IN ('12') WITH (autovacuum_vacuum_scale_factor='0.05', autovacuum_analyze_scale_factor='0.02');
CREATE TABLE res_communication PARTITION OF res FOR VALUES IN ('23') WITH (autovacuum_vacuum_scale_factor='0.05', autovacuum_analyze_scale_factor='0.02');
CREATE TABLE res_communication_request PARTITION OF res FOR VALUES IN ('24') WITH (autovacuum_vacuum_scale_factor='0.05', autovacuum_analyze_scale_factor='0.02');
CREATE TABLE res_condition PARTITION OF res FOR VALUES IN ('28') WITH (autovacuum_vacuum_scale_factor='0.05', autovacuum_analyze_scale_factor='0.02');
CREATE TABLE res_document_reference PARTITION OF res FOR VALUES IN ('42') WITH (autovacuum_vacuum_scale_factor='0.05', autovacuum_analyze_scale_factor='0.02');
CREATE TABLE res_encounter PARTITION OF res FOR VALUES IN ('44') WITH (autovacuum_vacuum_scale_factor='0.05', autovacuum_analyze_scale_factor='0.02');
CREATE TABLE res_medication_request PARTITION OF res FOR VALUES IN ('79') WITH (autovacuum_vacuum_scale_factor='0.05', autovacuum_analyze_scale_factor='0.02');
CREATE TABLE res_observation PARTITION OF res FOR VALUES IN ('96') WITH (autovacuum_vacuum_scale_factor='0.05', autovacuum_analyze_scale_factor='0.02');
CREATE TABLE res_organization PARTITION OF res FOR VALUES IN ('100') WITH (autovacuum_vacuum_scale_factor='0.05', autovacuum_analyze_scale_factor='0.02');
CREATE TABLE res_other PARTITION OF res DEFAULT WITH (autovacuum_vacuum_scale_factor='0.05', autovacuum_analyze_scale_factor='0.02');
CREATE TABLE res_patient PARTITION OF res FOR VALUES IN ('103') WITH (autovacuum_vacuum_scale_factor='0.05', autovacuum_analyze_scale_factor='0.02');
CREATE TABLE res_practitioner PARTITION OF res FOR VALUES IN ('108') WITH (autovacuum_vacuum_scale_factor='0.05', autovacuum_analyze_scale_factor='0.02');
CREATE TABLE res_practitioner_role PARTITION OF res FOR VALUES IN ('109') WITH (autovacuum_vacuum_scale_factor='0.05', autovacuum_analyze_scale_factor='0.02');
CREATE TABLE res_provenance PARTITION OF res FOR VALUES IN ('111') WITH (autovacuum_vacuum_scale_factor='0.05', autovacuum_analyze_scale_factor='0.02');
CREATE TABLE res_questionnaire PARTITION OF res FOR VALUES IN ('112') WITH (autovacuum_vacuum_scale_factor='0.05', autovacuum_analyze_scale_factor='0.02');
CREATE TABLE res_questionnaire_response PARTITION OF res FOR VALUES IN ('113') WITH (autovacuum_vacuum_scale_factor='0.05', autovacuum_analyze_scale_factor='0.02');
CREATE TABLE res_service_request PARTITION OF res FOR VALUES IN ('124') WITH (autovacuum_vacuum_scale_factor='0.05', autovacuum_analyze_scale_factor='0.02');
CREATE TABLE res_task PARTITION OF res FOR VALUES IN ('140') WITH (autovacuum_vacuum_scale_factor='0.05', autovacuum_analyze_scale_factor='0.02');
ALTER TABLE res ALTER COLUMN keys SET STATISTICS 1000;
COMMENT ON TABLE res IS 'Search row of each resource';
ALTER TABLE res ADD CONSTRAINT res_pkey PRIMARY KEY (rid, type);
CREATE INDEX res_keys ON res USING gin (keys) WITH (fastupdate=off);
CREATE INDEX res_unbuilt ON res USING btree (rid) WHERE ((idx_gen = 0) AND (NOT deleted));
CREATE INDEX res_updated ON res USING btree (updated DESC, rid DESC);
CREATE INDEX res_appointment_t1 ON res_appointment USING btree (t1, rid) WHERE (t1 IS NOT NULL);
CREATE INDEX res_appointment_t1_wide ON res_appointment USING btree (t1h, rid) WHERE ((t1h - t1) > '25:00:00'::interval);
CREATE INDEX res_audit_event_t1 ON res_audit_event USING btree (t1, rid) WHERE (t1 IS NOT NULL);
CREATE INDEX res_audit_event_t1_wide ON res_audit_event USING btree (t1h, rid) WHERE ((t1h - t1) > '25:00:00'::interval);
CREATE INDEX res_communication_t1 ON res_communication USING btree (t1, rid) WHERE (t1 IS NOT NULL);
CREATE INDEX res_communication_t1_wide ON res_communication USING btree (t1h, rid) WHERE ((t1h - t1) > '25:00:00'::interval);
CREATE INDEX res_communication_t2 ON res_communication USING btree (t2, rid) WHERE (t2 IS NOT NULL);
CREATE INDEX res_communication_t2_wide ON res_communication USING btree (t2h, rid) WHERE ((t2h - t2) > '25:00:00'::interval);
CREATE INDEX res_communication_request_t1 ON res_communication_request USING btree (t1, rid) WHERE (t1 IS NOT NULL);
CREATE INDEX res_communication_request_t1_wide ON res_communication_request USING btree (t1h, rid) WHERE ((t1h - t1) > '25:00:00'::interval);
CREATE INDEX res_communication_request_t2 ON res_communication_request USING btree (t2, rid) WHERE (t2 IS NOT NULL);
CREATE INDEX res_communication_request_t2_wide ON res_communication_request USING btree (t2h, rid) WHERE ((t2h - t2) > '25:00:00'::interval);
CREATE INDEX res_condition_t1 ON res_condition USING btree (t1, rid) WHERE (t1 IS NOT NULL);
CREATE INDEX res_condition_t1_wide ON res_condition USING btree (t1h, rid) WHERE ((t1h - t1) > '25:00:00'::interval);
CREATE INDEX res_condition_t2 ON res_condition USING btree (t2, rid) WHERE (t2 IS NOT NULL);
CREATE INDEX res_condition_t2_wide ON res_condition USING btree (t2h, rid) WHERE ((t2h - t2) > '25:00:00'::interval);
CREATE INDEX res_document_reference_t1 ON res_document_reference USING btree (t1, rid) WHERE (t1 IS NOT NULL);
CREATE INDEX res_document_reference_t1_wide ON res_document_reference USING btree (t1h, rid) WHERE ((t1h - t1) > '25:00:00'::interval);
CREATE INDEX res_encounter_t1 ON res_encounter USING btree (t1, rid) WHERE (t1 IS NOT NULL);
CREATE INDEX res_encounter_t1_wide ON res_encounter USING btree (t1h, rid) WHERE ((t1h - t1) > '25:00:00'::interval);
CREATE INDEX res_medication_request_t1 ON res_medication_request USING btree (t1, rid) WHERE (t1 IS NOT NULL);
CREATE INDEX res_medication_request_t1_wide ON res_medication_request USING btree (t1h, rid) WHERE ((t1h - t1) > '25:00:00'::interval);
CREATE INDEX res_observation_t1 ON res_observation USING btree (t1, rid) WHERE (t1 IS NOT NULL);
CREATE INDEX res_observation_t1_wide ON res_observation USING btree (t1h, rid) WHERE ((t1h - t1) > '25:00:00'::interval);
CREATE INDEX res_patient_s1 ON res_patient USING btree (s1, rid) WHERE (s1 IS NOT NULL);
CREATE INDEX res_patient_t1 ON res_patient USING btree (t1, rid) WHERE (t1 IS NOT NULL);
CREATE INDEX res_patient_t1_wide ON res_patient USING btree (t1h, rid) WHERE ((t1h - t1) > '25:00:00'::interval);
CREATE INDEX res_patient_t2 ON res_patient USING btree (t2, rid) WHERE (t2 IS NOT NULL);
CREATE INDEX res_patient_t2_wide ON res_patient USING btree (t2h, rid) WHERE ((t2h - t2) > '25:00:00'::interval);
CREATE INDEX res_provenance_t1 ON res_provenance USING btree (t1, rid) WHERE (t1 IS NOT NULL);
CREATE INDEX res_provenance_t1_wide ON res_provenance USING btree (t1h, rid) WHERE ((t1h - t1) > '25:00:00'::interval);
CREATE INDEX res_questionnaire_response_t1 ON res_questionnaire_response USING btree (t1, rid) WHERE (t1 IS NOT NULL);
CREATE INDEX res_questionnaire_response_t1_wide ON res_questionnaire_response USING btree (t1h, rid) WHERE ((t1h - t1) > '25:00:00'::interval);
CREATE INDEX res_service_request_t1 ON res_service_request USING btree (t1, rid) WHERE (t1 IS NOT NULL);
CREATE INDEX res_service_request_t1_wide ON res_service_request USING btree (t1h, rid) WHERE ((t1h - t1) > '25:00:00'::interval);
CREATE INDEX res_service_request_t2 ON res_service_request USING btree (t2, rid) WHERE (t2 IS NOT NULL);
CREATE INDEX res_service_request_t2_wide ON res_service_request USING btree (t2h, rid) WHERE ((t2h - t2) > '25:00:00'::interval);
CREATE INDEX res_task_t1 ON res_task USING btree (t1, rid) WHERE (t1 IS NOT NULL);
CREATE INDEX res_task_t1_wide ON res_task USING btree (t1h, rid) WHERE ((t1h - t1) > '25:00:00'::interval);
CREATE INDEX res_task_t2 ON res_task USING btree (t2, rid) WHERE (t2 IS NOT NULL);
CREATE INDEX res_task_t2_wide ON res_task USING btree (t2h, rid) WHERE ((t2h - t2) > '25:00:00'::interval);
CREATE INDEX res_task_t3 ON res_task USING btree (t3, rid) WHERE (t3 IS NOT NULL);
CREATE INDEX res_task_t3_wide ON res_task USING btree (t3h, rid) WHERE ((t3h - t3) > '25:00:00'::interval);

CREATE TABLE res_type (
    type smallint NOT NULL,
    name text NOT NULL
);
COMMENT ON TABLE res_type IS 'R4 resource types in alphabetical order';
ALTER TABLE res_type ADD CONSTRAINT res_type_name_key UNIQUE (name);
ALTER TABLE res_type ADD CONSTRAINT res_type_pkey PRIMARY KEY (type);

CREATE TABLE rng (
    grp bigint NOT NULL,
    lo double precision NOT NULL,
    hi double precision NOT NULL,
    rid bigint NOT NULL,
    ver integer NOT NULL,
    CONSTRAINT rng_check CHECK ((lo <= hi))
);
COMMENT ON TABLE rng IS 'Ranges with several values in one resource: quantities, dates, composites';
CREATE INDEX rng_rid ON rng USING btree (rid);
CREATE INDEX rng_value ON rng USING btree (grp, lo, hi, rid, ver);

CREATE TABLE schema_version (
    id integer NOT NULL,
    version_id bigint NOT NULL,
    is_applied boolean NOT NULL,
    tstamp timestamp without time zone DEFAULT now() NOT NULL
);
ALTER TABLE schema_version ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY ( SEQUENCE NAME schema_version_id_seq START WITH 1 INCREMENT BY 1 NO MINVALUE NO MAXVALUE CACHE 1 );
ALTER TABLE schema_version ADD CONSTRAINT schema_version_pkey PRIMARY KEY (id);

CREATE TABLE search_generation (
    id boolean DEFAULT true NOT NULL,
    gen integer NOT NULL,
    layout integer DEFAULT 0 NOT NULL,
    CONSTRAINT search_generation_id_check CHECK (id)
);
COMMENT ON TABLE search_generation IS 'Generation of the search parameters: one row';
ALTER TABLE search_generation ADD CONSTRAINT search_generation_pkey PRIMARY KEY (id);

CREATE TABLE search_param (
    type smallint NOT NULL,
    code text NOT NULL,
    "position" integer NOT NULL,
    rid bigint NOT NULL,
    definition jsonb NOT NULL,
    gen integer NOT NULL,
    state text NOT NULL,
    CONSTRAINT search_param_state_check CHECK ((state = ANY (ARRAY['building'::text, 'active'::text, 'failed'::text, 'retired'::text])))
);
COMMENT ON TABLE search_param IS 'Search parameters beside those of R4';
ALTER TABLE search_param ADD CONSTRAINT search_param_pkey PRIMARY KEY (type, code);
ALTER TABLE search_param ADD CONSTRAINT search_param_type_position_key UNIQUE (type, "position");
CREATE INDEX search_param_rid ON search_param USING btree (rid);

CREATE TABLE ver (
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    updated timestamptz DEFAULT clock_timestamp() NOT NULL,
    seq bigint DEFAULT nextval('change_seq'::regclass) NOT NULL,
    rid bigint NOT NULL,
    ver integer NOT NULL,
    type smallint NOT NULL,
    id text NOT NULL COLLATE "C",
    op "char" NOT NULL,
    codec smallint NOT NULL,
    hash bigint DEFAULT 0 NOT NULL,
    acl bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    origin text,
    body bytea,
    words bytea,
    CONSTRAINT ver_check CHECK (((op = 'D'::"char") = (body IS NULL))),
    CONSTRAINT ver_op_check CHECK ((op = ANY (ARRAY['C'::"char", 'U'::"char", 'P'::"char", 'D'::"char"]))),
    CONSTRAINT ver_ver_check CHECK ((ver > 0))
)
WITH (autovacuum_vacuum_insert_scale_factor='0.05', autovacuum_analyze_scale_factor='0.02');
ALTER TABLE ver ALTER COLUMN body SET STORAGE EXTERNAL;
ALTER TABLE ver ALTER COLUMN words SET STORAGE PLAIN;
COMMENT ON TABLE ver IS 'Every version of every resource: bodies, history and feed';
ALTER TABLE ver ADD CONSTRAINT ver_pkey PRIMARY KEY (rid, ver);
CREATE INDEX ver_feed ON ver USING btree (xid, seq);
CREATE INDEX ver_history ON ver USING btree (updated, seq);
CREATE INDEX ver_seq ON ver USING btree (seq);
CREATE INDEX ver_type_history ON ver USING btree (type, updated, seq);

CREATE TABLE zdict (
    dict smallint NOT NULL,
    data bytea NOT NULL
);
ALTER TABLE zdict ALTER COLUMN data SET STORAGE EXTERNAL;
COMMENT ON TABLE zdict IS 'zstd dictionaries';
ALTER TABLE zdict ADD CONSTRAINT zdict_pkey PRIMARY KEY (dict);
