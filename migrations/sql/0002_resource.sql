-- +goose Up

-- The number of each resource type. Numbers are stored everywhere and never change.
CREATE TABLE res_type (
  type smallint PRIMARY KEY,
  name text     NOT NULL UNIQUE
);
COMMENT ON TABLE res_type IS 'R4 resource types in alphabetical order';

INSERT INTO res_type (type, name) VALUES
  (1, 'Account'), (2, 'ActivityDefinition'), (3, 'AdverseEvent'), (4, 'AllergyIntolerance'), (5, 'Appointment'),
  (6, 'AppointmentResponse'), (7, 'AuditEvent'), (8, 'Basic'), (9, 'Binary'), (10, 'BiologicallyDerivedProduct'),
  (11, 'BodyStructure'), (12, 'Bundle'), (13, 'CapabilityStatement'), (14, 'CarePlan'), (15, 'CareTeam'),
  (16, 'CatalogEntry'), (17, 'ChargeItem'), (18, 'ChargeItemDefinition'), (19, 'Claim'), (20, 'ClaimResponse'),
  (21, 'ClinicalImpression'), (22, 'CodeSystem'), (23, 'Communication'), (24, 'CommunicationRequest'),
  (25, 'CompartmentDefinition'), (26, 'Composition'), (27, 'ConceptMap'), (28, 'Condition'), (29, 'Consent'),
  (30, 'Contract'), (31, 'Coverage'), (32, 'CoverageEligibilityRequest'), (33, 'CoverageEligibilityResponse'),
  (34, 'DetectedIssue'), (35, 'Device'), (36, 'DeviceDefinition'), (37, 'DeviceMetric'), (38, 'DeviceRequest'),
  (39, 'DeviceUseStatement'), (40, 'DiagnosticReport'), (41, 'DocumentManifest'), (42, 'DocumentReference'),
  (43, 'EffectEvidenceSynthesis'), (44, 'Encounter'), (45, 'Endpoint'), (46, 'EnrollmentRequest'),
  (47, 'EnrollmentResponse'), (48, 'EpisodeOfCare'), (49, 'EventDefinition'), (50, 'Evidence'), (51, 'EvidenceVariable'),
  (52, 'ExampleScenario'), (53, 'ExplanationOfBenefit'), (54, 'FamilyMemberHistory'), (55, 'Flag'), (56, 'Goal'),
  (57, 'GraphDefinition'), (58, 'Group'), (59, 'GuidanceResponse'), (60, 'HealthcareService'), (61, 'ImagingStudy'),
  (62, 'Immunization'), (63, 'ImmunizationEvaluation'), (64, 'ImmunizationRecommendation'), (65, 'ImplementationGuide'),
  (66, 'InsurancePlan'), (67, 'Invoice'), (68, 'Library'), (69, 'Linkage'), (70, 'List'), (71, 'Location'), (72, 'Measure'),
  (73, 'MeasureReport'), (74, 'Media'), (75, 'Medication'), (76, 'MedicationAdministration'), (77, 'MedicationDispense'),
  (78, 'MedicationKnowledge'), (79, 'MedicationRequest'), (80, 'MedicationStatement'), (81, 'MedicinalProduct'),
  (82, 'MedicinalProductAuthorization'), (83, 'MedicinalProductContraindication'), (84, 'MedicinalProductIndication'),
  (85, 'MedicinalProductIngredient'), (86, 'MedicinalProductInteraction'), (87, 'MedicinalProductManufactured'),
  (88, 'MedicinalProductPackaged'), (89, 'MedicinalProductPharmaceutical'), (90, 'MedicinalProductUndesirableEffect'),
  (91, 'MessageDefinition'), (92, 'MessageHeader'), (93, 'MolecularSequence'), (94, 'NamingSystem'), (95, 'NutritionOrder'),
  (96, 'Observation'), (97, 'ObservationDefinition'), (98, 'OperationDefinition'), (99, 'OperationOutcome'),
  (100, 'Organization'), (101, 'OrganizationAffiliation'), (102, 'Parameters'), (103, 'Patient'), (104, 'PaymentNotice'),
  (105, 'PaymentReconciliation'), (106, 'Person'), (107, 'PlanDefinition'), (108, 'Practitioner'), (109, 'PractitionerRole'),
  (110, 'Procedure'), (111, 'Provenance'), (112, 'Questionnaire'), (113, 'QuestionnaireResponse'), (114, 'RelatedPerson'),
  (115, 'RequestGroup'), (116, 'ResearchDefinition'), (117, 'ResearchElementDefinition'), (118, 'ResearchStudy'),
  (119, 'ResearchSubject'), (120, 'RiskAssessment'), (121, 'RiskEvidenceSynthesis'), (122, 'Schedule'),
  (123, 'SearchParameter'), (124, 'ServiceRequest'), (125, 'Slot'), (126, 'Specimen'), (127, 'SpecimenDefinition'),
  (128, 'StructureDefinition'), (129, 'StructureMap'), (130, 'Subscription'), (131, 'Substance'),
  (132, 'SubstanceNucleicAcid'), (133, 'SubstancePolymer'), (134, 'SubstanceProtein'),
  (135, 'SubstanceReferenceInformation'), (136, 'SubstanceSourceMaterial'), (137, 'SubstanceSpecification'),
  (138, 'SupplyDelivery'), (139, 'SupplyRequest'), (140, 'Task'), (141, 'TerminologyCapabilities'), (142, 'TestReport'),
  (143, 'TestScript'), (144, 'ValueSet'), (145, 'VerificationResult'), (146, 'VisionPrescription');

-- The search row of each resource, live or deleted. A hash is a keyed 64-bit SipHash.
CREATE TABLE res (
  rid      bigint      NOT NULL,              -- hash of 'Type/id'; distribution column
  type     smallint    NOT NULL,              -- res_type.type
  ver      int         NOT NULL,              -- current version, from 1
  deleted  boolean     NOT NULL DEFAULT false,
  updated  timestamptz NOT NULL,              -- meta.lastUpdated: milliseconds, taken after the xid exists
  t1 timestamptz, t1h timestamptz,            -- date slots, low and high; high is NULL for an instant
  t2 timestamptz, t2h timestamptz,            --   which parameter owns a slot: search_param.slot
  t3 timestamptz, t3h timestamptz,
  n1       double precision,                  -- single number or quantity in its canonical unit
  s1       text COLLATE "C",                  -- main sort string, normalised
  id       text COLLATE "C" NOT NULL,         -- logical id, compared on read: two ids with one rid is a collision
  keys     bigint[]    NOT NULL,              -- every equality-searchable value, reference, prefix and access key, hashed
  refs     bigint[]    NOT NULL DEFAULT '{}', -- distinct rids of the targets
  strs     text,                              -- normalised strings, \x1f between them, for :contains
  sorts    text[] COLLATE "C",                -- sort keys of the parameters without a slot, in their agreed order
  hash     bigint      NOT NULL,              -- hash of the current body: an update that changes nothing makes no version
  idx_gen  int         NOT NULL DEFAULT 0,    -- search-parameter generation that built this row; 0: not built yet
  PRIMARY KEY (rid, type)                     -- rid first: a join by rid alone must find the index
) PARTITION BY LIST (type);
COMMENT ON TABLE res IS 'Search row of each resource';

-- Busy types have a partition of their own, with statistics of their own; the rest share res_other.
CREATE TABLE res_appointment            PARTITION OF res FOR VALUES IN (5);
CREATE TABLE res_audit_event            PARTITION OF res FOR VALUES IN (7);
CREATE TABLE res_binary                 PARTITION OF res FOR VALUES IN (9);
CREATE TABLE res_bundle                 PARTITION OF res FOR VALUES IN (12);
CREATE TABLE res_communication          PARTITION OF res FOR VALUES IN (23);
CREATE TABLE res_communication_request  PARTITION OF res FOR VALUES IN (24);
CREATE TABLE res_condition              PARTITION OF res FOR VALUES IN (28);
CREATE TABLE res_document_reference     PARTITION OF res FOR VALUES IN (42);
CREATE TABLE res_encounter              PARTITION OF res FOR VALUES IN (44);
CREATE TABLE res_medication_request     PARTITION OF res FOR VALUES IN (79);
CREATE TABLE res_observation            PARTITION OF res FOR VALUES IN (96);
CREATE TABLE res_organization           PARTITION OF res FOR VALUES IN (100);
CREATE TABLE res_patient                PARTITION OF res FOR VALUES IN (103);
CREATE TABLE res_practitioner           PARTITION OF res FOR VALUES IN (108);
CREATE TABLE res_practitioner_role      PARTITION OF res FOR VALUES IN (109);
CREATE TABLE res_provenance             PARTITION OF res FOR VALUES IN (111);
CREATE TABLE res_questionnaire          PARTITION OF res FOR VALUES IN (112);
CREATE TABLE res_questionnaire_response PARTITION OF res FOR VALUES IN (113);
CREATE TABLE res_service_request        PARTITION OF res FOR VALUES IN (124);
CREATE TABLE res_task                   PARTITION OF res FOR VALUES IN (140);
CREATE TABLE res_other                  PARTITION OF res DEFAULT;

-- A pending list makes searches 6-8 times slower and stalls the writer that has to flush it.
CREATE INDEX res_keys    ON res USING gin (keys) WITH (fastupdate = off);
CREATE INDEX res_updated ON res (updated DESC, rid DESC);

CREATE INDEX res_communication_t1          ON res_communication          (t1, rid) WHERE t1 IS NOT NULL;
CREATE INDEX res_patient_t1                ON res_patient                (t1, rid) WHERE t1 IS NOT NULL;
CREATE INDEX res_patient_s1                ON res_patient                (s1, rid) WHERE s1 IS NOT NULL;
CREATE INDEX res_questionnaire_response_t1 ON res_questionnaire_response (t1, rid) WHERE t1 IS NOT NULL;
CREATE INDEX res_task_t1                   ON res_task                   (t1, rid) WHERE t1 IS NOT NULL;

-- The most common keys decide between the two search paths.
ALTER TABLE res ALTER keys SET STATISTICS 1000;

-- +goose StatementBegin
DO $$
DECLARE part regclass;
BEGIN
  FOR part IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'res'::regclass LOOP
    EXECUTE format('ALTER TABLE %s SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02)', part);
  END LOOP;
END $$;
-- +goose StatementEnd
