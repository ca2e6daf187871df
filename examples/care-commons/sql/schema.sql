-- The tables of the sample: columns, defaults and CHECKs, nothing else.
--
-- Keys and indexes follow in keys-*.sql once the rows are in, because building an index over loaded
-- rows is several times faster than keeping it current row by row. Triggers, policies and views
-- follow in rules.sql, because check_caregiver_credentials() would otherwise rewrite what is loaded.

create extension if not exists "uuid-ossp";
create extension if not exists pgcrypto;

-- ---------------------------------------------------------------- who: agencies and their people

create table organizations (
    id              uuid not null default uuid_generate_v4(),
    name            varchar(255) not null,
    legal_name      varchar(255),
    tax_id          varchar(50),
    license_number  varchar(100),
    phone           varchar(20),
    email           varchar(255),
    website         varchar(255),
    primary_address jsonb not null,
    billing_address jsonb,
    settings        jsonb not null default '{}',
    status          varchar(50) not null default 'ACTIVE'
                    check (status in ('ACTIVE', 'INACTIVE', 'SUSPENDED')),
    state_code      varchar(2) not null default 'TX',
    timezone        varchar(50) not null default 'America/Chicago',
    created_at      timestamptz not null default now(),
    created_by      uuid not null,
    updated_at      timestamptz not null default now(),
    updated_by      uuid not null,
    version         integer not null default 1,
    deleted_at      timestamptz,
    deleted_by      uuid
);

create table branches (
    id              uuid not null default uuid_generate_v4(),
    organization_id uuid not null,
    name            varchar(255) not null,
    code            varchar(50) not null,
    phone           varchar(20),
    email           varchar(255),
    address         jsonb not null,
    service_area    jsonb,
    settings        jsonb not null default '{}',
    status          varchar(50) not null default 'ACTIVE'
                    check (status in ('ACTIVE', 'INACTIVE')),
    timezone        varchar(50) not null default 'America/Chicago',
    created_at      timestamptz not null default now(),
    created_by      uuid not null,
    updated_at      timestamptz not null default now(),
    updated_by      uuid not null,
    version         integer not null default 1,
    deleted_at      timestamptz,
    deleted_by      uuid
);

create table users (
    id                    uuid not null default uuid_generate_v4(),
    organization_id       uuid not null,
    username              varchar(100) not null,
    email                 varchar(255) not null,
    password_hash         varchar(255),
    first_name            varchar(100) not null,
    last_name             varchar(100) not null,
    phone                 varchar(20),
    roles                 varchar(50)[] not null default '{}',
    permissions           varchar(100)[] not null default '{}',
    branch_ids            uuid[] not null default '{}',
    status                varchar(50) not null default 'ACTIVE'
                          check (status in ('ACTIVE', 'INACTIVE', 'SUSPENDED', 'INVITED')),
    last_login_at         timestamptz,
    failed_login_attempts integer not null default 0,
    locked_until          timestamptz,
    settings              jsonb not null default '{}',
    oauth_provider        varchar(50),
    oauth_subject         varchar(255),
    token_version         integer not null default 1,
    email_verified        boolean not null default false,
    timezone              varchar(50),
    is_demo_data          boolean not null default true,
    created_at            timestamptz not null default now(),
    created_by            uuid,
    updated_at            timestamptz not null default now(),
    updated_by            uuid,
    version               integer not null default 1,
    deleted_at            timestamptz,
    deleted_by            uuid
);

create table clients (
    id                    uuid not null default uuid_generate_v4(),
    organization_id       uuid not null,
    branch_id             uuid not null,
    client_number         varchar(50) not null,
    first_name            varchar(100) not null,
    middle_name           varchar(100),
    last_name             varchar(100) not null,
    preferred_name        varchar(100),
    date_of_birth         date not null,
    ssn                   varchar(255),
    gender                varchar(50) check (gender in ('FEMALE', 'MALE', 'NON_BINARY', 'UNDISCLOSED')),
    pronouns              varchar(50),
    primary_phone         jsonb,
    alternate_phone       jsonb,
    email                 varchar(255),
    language              varchar(50),
    race                  jsonb,
    marital_status        varchar(50),
    veteran_status        boolean,
    primary_address       jsonb not null,
    secondary_addresses   jsonb,
    living_arrangement    jsonb,
    mobility_info         jsonb,
    emergency_contacts    jsonb not null default '[]',
    authorized_contacts   jsonb not null default '[]',
    primary_physician     jsonb,
    pharmacy              jsonb,
    insurance             jsonb,
    medical_record_number varchar(50),
    programs              jsonb not null default '[]',
    service_eligibility   jsonb not null,
    funding_sources       jsonb not null default '[]',
    risk_flags            jsonb not null default '[]',
    allergies             jsonb,
    special_instructions  text,
    access_instructions   text,
    status                varchar(50) not null default 'PENDING_INTAKE'
                          check (status in ('INQUIRY', 'PENDING_INTAKE', 'ACTIVE', 'INACTIVE',
                                            'ON_HOLD', 'DISCHARGED', 'DECEASED')),
    intake_date           date,
    discharge_date        date,
    discharge_reason      varchar(255),
    notes                 text,
    custom_fields         jsonb,
    state_specific        jsonb,
    coordinates           jsonb,
    created_at            timestamptz not null default now(),
    created_by            uuid not null,
    updated_at            timestamptz not null default now(),
    updated_by            uuid not null,
    version               integer not null default 1,
    deleted_at            timestamptz,
    deleted_by            uuid,
    constraint clients_discharge_after_intake check (discharge_date >= intake_date)
);

create table caregivers (
    id                 uuid not null default uuid_generate_v4(),
    organization_id    uuid not null,
    branch_ids         uuid[] not null,
    primary_branch_id  uuid not null,
    employee_number    varchar(50) not null,
    first_name         varchar(100) not null,
    last_name          varchar(100) not null,
    date_of_birth      date not null,
    ssn                varchar(255),
    gender             varchar(50),
    primary_phone      jsonb not null,
    email              varchar(255) not null,
    languages          text[] not null default '{}',
    race               text[],
    primary_address    jsonb not null,
    emergency_contacts jsonb not null default '[]',
    employment_type    varchar(50) not null
                       check (employment_type in ('FULL_TIME', 'PART_TIME', 'PER_DIEM', 'CONTRACT',
                                                  'TEMPORARY', 'SEASONAL')),
    employment_status  varchar(50) not null default 'ACTIVE'
                       check (employment_status in ('ACTIVE', 'ON_LEAVE', 'SUSPENDED',
                                                    'TERMINATED', 'RETIRED')),
    hire_date          date not null,
    termination_date   date,
    role               varchar(50) not null
                       check (role in ('CAREGIVER', 'SENIOR_CAREGIVER', 'CERTIFIED_NURSING_ASSISTANT',
                                       'HOME_HEALTH_AIDE', 'PERSONAL_CARE_AIDE', 'COMPANION',
                                       'NURSE_RN', 'NURSE_LPN', 'THERAPIST', 'COORDINATOR',
                                       'SUPERVISOR', 'SCHEDULER', 'ADMINISTRATIVE')),
    permissions        text[] not null default '{}',
    supervisor_id      uuid,
    credentials        jsonb[] not null default '{}',
    background_check   jsonb,
    drug_screening     jsonb,
    health_screening   jsonb,
    training           jsonb[] not null default '{}',
    skills             jsonb[] not null default '{}',
    specializations    text[] not null default '{}',
    availability       jsonb not null,
    pay_rate           jsonb not null,
    payroll_info       jsonb,
    preferred_clients  uuid[] not null default '{}',
    restricted_clients uuid[] not null default '{}',
    performance_rating numeric(2,1) check (performance_rating between 1 and 5),
    reliability_score  numeric(3,2) check (reliability_score between 0 and 1),
    compliance_status  varchar(50) not null default 'PENDING_VERIFICATION'
                       check (compliance_status in ('COMPLIANT', 'PENDING_VERIFICATION',
                                                    'EXPIRING_SOON', 'EXPIRED', 'NON_COMPLIANT')),
    status             varchar(50) not null default 'ACTIVE'
                       check (status in ('APPLICATION', 'INTERVIEWING', 'PENDING_ONBOARDING',
                                         'ONBOARDING', 'ACTIVE', 'INACTIVE', 'ON_LEAVE', 'SUSPENDED',
                                         'TERMINATED', 'RETIRED')),
    notes              text,
    created_at         timestamptz not null default now(),
    created_by         uuid not null,
    updated_at         timestamptz not null default now(),
    updated_by         uuid not null,
    version            integer not null default 1,
    deleted_at         timestamptz,
    deleted_by         uuid,
    constraint caregivers_primary_branch_listed check (primary_branch_id = any (branch_ids))
);

-- ---------------------------------------------------------------- what: care ordered and given

create table service_authorizations (
    id                   uuid not null default uuid_generate_v4(),
    organization_id      uuid not null,
    client_id            uuid not null,
    authorization_number varchar(50) not null,
    service_type_code    varchar(50) not null,
    payer_name           varchar(200) not null,
    authorized_units     numeric(10,2) not null check (authorized_units >= 0),
    used_units           numeric(10,2) not null default 0 check (used_units >= 0),
    units_remaining      numeric(10,2) generated always as (authorized_units - used_units) stored,
    unit_type            varchar(20) not null check (unit_type in ('HOUR', 'VISIT', 'QUARTER_HOUR')),
    valid_period         daterange not null,
    status               varchar(50) not null
                         check (status in ('PENDING', 'ACTIVE', 'DEPLETED', 'EXPIRED', 'CANCELLED')),
    created_at           timestamptz not null default now(),
    updated_at           timestamptz not null default now(),
    version              integer not null default 1
);

create table shifts (
    id                   uuid not null default uuid_generate_v4(),
    organization_id      uuid not null,
    branch_id            uuid not null,
    client_id            uuid not null,
    shift_date           date not null,
    start_time           time not null,
    end_time             time not null,
    required_skills      text[] not null default '{}',
    urgency              varchar(20) not null
                         check (urgency in ('ROUTINE', 'PRIORITY', 'URGENT', 'CRITICAL')),
    status               varchar(20) not null
                         check (status in ('OPEN', 'PROPOSED', 'FILLED', 'EXPIRED', 'CANCELLED')),
    bill_rate            numeric(8,2),
    match_score          real,
    match_weight         double precision,
    travel_allowance     interval,
    filled_by            uuid,
    created_at           timestamptz not null default now(),
    updated_at           timestamptz not null default now(),
    version              integer not null default 1,
    constraint shifts_start_before_end check (start_time < end_time)
);

create table visits (
    id                      uuid not null default uuid_generate_v4(),
    organization_id         uuid not null,
    branch_id               uuid not null,
    client_id               uuid not null,
    assigned_caregiver_id   uuid,
    visit_number            varchar(50) not null,
    visit_type              varchar(50) not null
                            check (visit_type in ('REGULAR', 'INITIAL', 'DISCHARGE', 'RECERTIFICATION',
                                                  'EMERGENCY', 'MAKEUP', 'SUPERVISION', 'ASSESSMENT')),
    service_type_id         uuid not null,
    service_type_name       varchar(100) not null,
    scheduled_date          date not null,
    scheduled_start_time    time not null,
    scheduled_end_time      time not null,
    scheduled_duration      integer not null check (scheduled_duration between 15 and 1440),
    timezone                varchar(100) not null,
    actual_start_time       timestamptz,
    actual_end_time         timestamptz,
    actual_duration         integer,
    assignment_method       varchar(50) not null
                            check (assignment_method in ('MANUAL', 'AUTO_MATCH', 'SELF_ASSIGN',
                                                         'PREFERRED', 'OVERFLOW')),
    address                 jsonb not null,
    location_verification   jsonb,
    task_ids                uuid[] not null default '{}',
    required_skills         text[] not null default '{}',
    status                  varchar(50) not null
                            check (status in ('DRAFT', 'SCHEDULED', 'UNASSIGNED', 'ASSIGNED',
                                              'CONFIRMED', 'EN_ROUTE', 'ARRIVED', 'IN_PROGRESS',
                                              'PAUSED', 'COMPLETED', 'INCOMPLETE', 'CANCELLED',
                                              'NO_SHOW_CLIENT', 'NO_SHOW_CAREGIVER', 'REJECTED')),
    status_history          jsonb not null default '[]',
    is_urgent               boolean not null default false,
    is_priority             boolean not null default false,
    requires_supervision    boolean not null default false,
    verification_method     varchar(50) check (verification_method in ('GPS', 'PHONE', 'FACIAL', 'MANUAL')),
    verification_data       jsonb,
    completion_notes        text,
    tasks_completed         integer,
    tasks_total             integer,
    signature_required      boolean not null default true,
    signature_captured      boolean not null default false,
    billable_hours          numeric(5,2),
    billing_status          varchar(50)
                            check (billing_status in ('PENDING', 'READY', 'BILLED', 'PAID', 'DENIED',
                                                      'ADJUSTED')),
    client_instructions     text,
    caregiver_instructions  text,
    tags                    text[],
    created_at              timestamptz not null default now(),
    created_by              uuid not null,
    updated_at              timestamptz not null default now(),
    updated_by              uuid not null,
    version                 integer not null default 1,
    deleted_at              timestamptz,
    deleted_by              uuid,
    constraint visits_start_before_end check (scheduled_start_time < scheduled_end_time)
);

create table evv_records (
    id                      uuid not null default uuid_generate_v4(),
    visit_id                uuid not null,
    organization_id         uuid not null,
    branch_id               uuid not null,
    client_id               uuid not null,
    caregiver_id            uuid not null,
    service_type_code       varchar(50) not null,
    service_type_name       varchar(255) not null,
    client_name             varchar(200) not null,
    client_medicaid_id      varchar(50),
    caregiver_name          varchar(200) not null,
    caregiver_employee_id   varchar(50) not null,
    caregiver_npi           varchar(10),
    service_date            date not null,
    service_address         jsonb not null,
    clock_in_time           timestamptz not null,
    clock_out_time          timestamptz,
    total_duration          integer,
    clock_in_verification   jsonb not null,
    clock_out_verification  jsonb,
    mid_visit_checks        jsonb not null default '[]',
    pause_events            jsonb not null default '[]',
    exception_events        jsonb not null default '[]',
    record_status           varchar(50) not null
                            check (record_status in ('PENDING', 'COMPLETE', 'SUBMITTED', 'APPROVED',
                                                     'REJECTED', 'DISPUTED', 'AMENDED', 'VOIDED')),
    verification_level      varchar(50) not null
                            check (verification_level in ('FULL', 'PARTIAL', 'MANUAL', 'PHONE',
                                                          'EXCEPTION')),
    compliance_flags        jsonb not null default '["COMPLIANT"]',
    integrity_hash          varchar(64) not null,
    integrity_checksum      varchar(64) not null,
    recorded_at             timestamptz not null,
    recorded_by             uuid not null,
    sync_metadata           jsonb not null,
    submitted_to_payor      timestamptz,
    payor_approval_status   varchar(50)
                            check (payor_approval_status in ('PENDING', 'APPROVED', 'DENIED')),
    state_specific_data     jsonb,
    caregiver_attestation   jsonb,
    client_attestation      jsonb,
    created_at              timestamptz not null default now(),
    created_by              uuid not null,
    updated_at              timestamptz not null default now(),
    updated_by              uuid not null,
    version                 integer not null default 1,
    constraint evv_records_in_before_out check (clock_in_time < clock_out_time)
);

-- ---------------------------------------------------------------- how it is watched and moved

create table audit_events (
    event_id        uuid not null default uuid_generate_v4(),
    "timestamp"     timestamptz not null default now(),
    user_id         uuid not null,
    organization_id uuid not null,
    event_type      varchar(50) not null,
    resource        varchar(100) not null,
    resource_id     varchar(100),
    action          varchar(50) not null,
    result          varchar(20) not null check (result in ('SUCCESS', 'FAILURE', 'DENIED')),
    metadata        jsonb not null default '{}',
    ip_address      varchar(45),
    user_agent      text
);

create table audit_revisions (
    revision_id     uuid not null default uuid_generate_v4(),
    entity_id       uuid not null,
    entity_type     varchar(100) not null,
    "timestamp"     timestamptz not null default now(),
    user_id         uuid not null,
    operation       varchar(20) not null check (operation in ('CREATE', 'UPDATE', 'DELETE', 'RESTORE')),
    changes         jsonb not null default '[]',
    snapshot        jsonb,
    reason          text,
    ip_address      varchar(45),
    user_agent      text
);

create table sync_queue (
    id              uuid not null default uuid_generate_v4(),
    position        bigint generated always as identity,
    organization_id uuid not null,
    user_id         uuid not null,
    device_id       varchar(100) not null,
    entity_type     varchar(50) not null,
    entity_id       uuid not null,
    operation       varchar(20) not null check (operation in ('INSERT', 'UPDATE', 'DELETE')),
    payload         jsonb not null,
    status          varchar(20) not null
                    check (status in ('PENDING', 'IN_FLIGHT', 'SYNCED', 'CONFLICT', 'FAILED')),
    conflict        jsonb,
    attempts        smallint not null default 0,
    queued_at       timestamptz not null,
    synced_at       timestamptz
);

-- The migration runner's own bookkeeping: the only serial key of the schema.
create table knex_migrations (
    id             serial,
    name           varchar(255),
    batch          integer,
    migration_time timestamptz
);

create table knex_migrations_lock (
    index     serial,
    is_locked integer
);

comment on table organizations is 'home-care agencies; every other row belongs to exactly one';
comment on table clients is 'people receiving care: protected health information';
comment on column clients.ssn is 'ciphertext written by the application, never a readable number';
comment on table caregivers is 'people giving care, with the credentials that allow them to';
comment on column caregivers.compliance_status is 'kept by trigger from the expiry dates in credentials';
comment on column service_authorizations.units_remaining is 'computed: authorized_units - used_units';
comment on table visits is 'one planned or delivered visit at a client''s home';
comment on table evv_records is 'electronic visit verification: who, what, where, when, attested';
comment on column evv_records.integrity_hash is 'sha-256 over the record''s six required elements';
comment on table audit_events is 'append-only: who did what to which resource';
comment on table audit_revisions is 'append-only: what changed, field by field';
comment on column audit_revisions.snapshot is 'the whole row before the change; null for a creation';
