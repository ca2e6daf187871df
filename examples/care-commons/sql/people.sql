-- Organizations, branches, users, clients, caregivers, and what hangs directly on them.
--
-- Takes the counts :organizations :branches :users :clients :caregivers. Row n of a table belongs
-- to organization 1 + (n - 1) % :organizations, so every reference below is arithmetic.

insert into knex_migrations (name, batch, migration_time)
select to_char(gen.today() - 700 + n * 9, 'YYYYMMDD') || '000' || lpad(n::text, 3, '0') || '_'
       || gen.pick(n, 1, '{create,extend,index,constrain}'::text[]) || '_'
       || gen.pick(n, 2, '{organizations,users,clients,caregivers,visits,evv,audit,sync,billing}'::text[]),
       1 + n / 12, (gen.today() - 700 + n * 9) + interval '9 hours' + n * interval '317 milliseconds'
from generate_series(1, 60) n;
insert into knex_migrations_lock (is_locked) values (0);

insert into organizations (id, name, legal_name, tax_id, license_number, phone, email, website,
    primary_address, billing_address, settings, status, state_code, timezone,
    created_at, created_by, updated_at, updated_by, version)
select gen.id('organization', n), o.name, o.name || ' LLC', '00-' || lpad(n::text, 7, '0'),
    'HCSSA-' || (100000 + n), gen.phone(n), 'office@agency' || n || '.example.org',
    'https://agency' || n || '.example.org',
    jsonb_build_object('line1', gen.street(n), 'city', c.name, 'state', c.state, 'country', 'US',
        'postalCode', (c.zip + gen.below(n, 3, 40))::text),
    case when n % 3 = 0 then jsonb_build_object('line1', 'PO Box ' || (1000 + n), 'city', c.name,
        'state', c.state, 'postalCode', c.zip::text, 'country', 'US') end,
    jsonb_build_object('evv', jsonb_build_object('aggregator', 'HHAEXCHANGE', 'geofenceMeters', 150,
        'graceMinutes', 7), 'billing', jsonb_build_object('roundingMinutes', 15, 'currency', 'USD'),
        'features', jsonb_build_array('scheduling', 'evv', 'care-plans', 'family-portal')),
    'ACTIVE', c.state, 'America/Chicago',
    gen.today() - 800 + n % 90 + interval '15 hours', gen.id('user', n),
    gen.today() - 30 + n % 20 + interval '16 hours', gen.id('user', n), 1 + gen.below(n, 4, 6)
from generate_series(1, :organizations) n
join gen.city c on c.no = 1 + n % 10
cross join lateral (select gen.pick(n, 5, '{Bluebonnet,Lone Star,Río Grande,Hill Country,Good Neighbor,
Piney Woods,Gulf Breeze,Panhandle,Brazos,Señora Luz}'::text[]) || ' '
    || gen.pick(n, 6, '{Home Care,Home Health,Senior Services,Care Partners}'::text[]) || ' ' || n) o(name);

insert into branches (id, organization_id, name, code, phone, email, address, service_area,
    settings, status, timezone, created_at, created_by, updated_at, updated_by)
select gen.id('branch', n), gen.id('organization', 1 + (n - 1) % :organizations),
    c.name || ' ' || gen.pick(n, 7, '{North,South,Central,East,West}'::text[]), 'BR-' || lpad(n::text, 4, '0'),
    gen.phone(n + 7000), 'branch' || n || '@agency' || 1 + (n - 1) % :organizations || '.example.org',
    jsonb_build_object('line1', gen.street(n + 7000), 'city', c.name, 'state', c.state, 'country', 'US',
        'postalCode', (c.zip + gen.below(n, 8, 40))::text),
    jsonb_build_object('type', 'RADIUS', 'center', jsonb_build_object('lat', c.lat, 'lon', c.lon),
        'miles', 15 + gen.below(n, 9, 30), 'counties', jsonb_build_array(c.county)),
    '{"onCall": true}', 'ACTIVE', 'America/Chicago', gen.today() - 790 + interval '15 hours',
    gen.id('user', 1 + (n - 1) % :organizations), gen.today() - 60 + interval '15 hours',
    gen.id('user', 1 + (n - 1) % :organizations)
from generate_series(1, :branches) n
join gen.city c on c.no = 1 + n % 10;

-- The first user of each organization is its administrator, and the author of its records.
insert into users (id, organization_id, username, email, password_hash, first_name, last_name, phone,
    roles, permissions, branch_ids, status, last_login_at, failed_login_attempts, settings,
    oauth_provider, oauth_subject, token_version, email_verified, timezone, is_demo_data,
    created_at, created_by, updated_at, updated_by, version)
select gen.id('user', n), gen.id('organization', 1 + (n - 1) % :organizations),
    'user' || n, 'user' || n || '@agency' || 1 + (n - 1) % :organizations || '.example.org',
    '$argon2id$v=19$m=65536,t=3,p=4$' || encode(sha256(('hash' || n)::bytea), 'base64'),
    gen.first_name(n + 9000), gen.last_name(n + 9000),
    case when gen.below(n, 10, 4) > 0 then gen.phone(n + 9000) end,
    case when n <= :organizations then '{ORG_ADMIN}'
         else array[gen.pick(n, 11, '{COORDINATOR,CAREGIVER,BILLING,NURSE_RN,SCHEDULER,FAMILY}'::text[])] end,
    case when n <= :organizations then '{"*:*"}'
         else '{visits:read,visits:update,clients:read}'::text[] end,
    array[gen.id('branch', 1 + (n - 1) % :branches)],
    case gen.below(n, 12, 25) when 0 then 'INACTIVE' when 1 then 'INVITED' else 'ACTIVE' end,
    case when gen.below(n, 13, 10) > 0
         then gen.today() - gen.below(n, 14, 45) + gen.below(n, 15, 86400) * interval '1 second' end,
    case when gen.below(n, 16, 12) = 0 then 1 + gen.below(n, 17, 3) else 0 end,
    jsonb_build_object('locale', gen.pick(n, 18, '{en-US,es-MX,vi-VN}'::text[]), 'theme', 'system'),
    case when gen.below(n, 19, 6) = 0 then 'google' end,
    case when gen.below(n, 19, 6) = 0 then gen.h(n, 20)::text end,
    1, gen.below(n, 21, 8) > 0, 'America/Chicago', true,
    gen.today() - 780 + n % 400 + interval '14 hours', gen.id('user', 1 + (n - 1) % :organizations),
    gen.today() - n % 200 + interval '14 hours', gen.id('user', 1 + (n - 1) % :organizations),
    1 + gen.below(n, 22, 9)
from generate_series(1, :users) n;

-- What visits and verification records repeat about a client or a caregiver, looked up by number.
create unlogged table gen.client as
select n as no, 1 + (n - 1) % :organizations as org_no, gen.id('client', n) as id,
    gen.id('organization', 1 + (n - 1) % :organizations) as organization_id,
    gen.id('branch', b.no) as branch_id, gen.id('user', 1 + (n - 1) % :organizations) as admin_id,
    gen.first_name(n) as first_name, gen.last_name(n) as last_name,
    case when gen.below(n, 23, 9) > 0 then 'TXMED' || lpad(gen.below(n, 24, 100000000)::text, 9, '0') end
        as medicaid_id,
    round(c.lat + (gen.below(n, 25, 200000) - 100000) * 0.000001, 6) as lat,
    round(c.lon + (gen.below(n, 26, 200000) - 100000) * 0.000001, 6) as lon,
    jsonb_strip_nulls(jsonb_build_object('type', 'HOME', 'line1', gen.street(n),
        'line2', case when gen.below(n, 27, 4) = 0 then 'Apt ' || (1 + gen.below(n, 28, 240)) end,
        'city', c.name, 'state', c.state, 'postalCode', (c.zip + gen.below(n, 29, 60))::text,
        'county', c.county, 'country', 'US')) as address
from generate_series(1, :clients) n
cross join lateral (select 1 + (n - 1) % :organizations
    + :organizations * gen.below(n, 30, :branches / :organizations)) b(no)
join gen.city c on c.no = 1 + b.no % 10;

create unlogged table gen.caregiver as
select n as no, 1 + (n - 1) % :organizations as org_no, gen.id('caregiver', n) as id,
    gen.id('organization', 1 + (n - 1) % :organizations) as organization_id,
    gen.id('branch', b.no) as branch_id, gen.id('user', 1 + (n - 1) % :organizations) as admin_id,
    gen.first_name(n + 500000) as first_name, gen.last_name(n + 500000) as last_name,
    'E' || lpad(n::text, 6, '0') as employee_number,
    -- A real NPI starts with 1 or 2; none starts with 9.
    case when gen.below(n, 31, 4) = 0 then '9' || lpad(gen.below(n, 32, 999999999)::text, 9, '0') end as npi,
    'android-' || left(md5('device' || n), 16) as device_id, gen.device(n) as device_model,
    'Android ' || (12 + gen.below(n, 115, 4)) as device_os, c.city
from generate_series(1, :caregivers) n
cross join lateral (select 1 + (n - 1) % :organizations
    + :organizations * gen.below(n, 33, :branches / :organizations)) b(no)
join (select no, to_jsonb(city) as city from gen.city) c on c.no = 1 + b.no % 10;
analyze gen.client, gen.caregiver;

insert into clients (id, organization_id, branch_id, client_number, first_name, middle_name,
    last_name, preferred_name, date_of_birth, ssn, gender, pronouns, primary_phone, alternate_phone,
    email, language, race, marital_status, veteran_status, primary_address, living_arrangement,
    mobility_info, emergency_contacts, authorized_contacts, primary_physician, pharmacy, insurance,
    medical_record_number, programs, service_eligibility, funding_sources, risk_flags, allergies,
    special_instructions, access_instructions, status, intake_date, discharge_date, discharge_reason,
    notes, state_specific, coordinates, created_at, created_by, updated_at, updated_by, version, deleted_at,
    deleted_by)
select c.id, c.organization_id, c.branch_id, 'C' || lpad(n::text, 6, '0'), c.first_name,
    case when gen.below(n, 40, 3) = 0 then gen.first_name(n + 40000) end, c.last_name,
    case when gen.below(n, 41, 9) = 0 then left(c.first_name, 3) end,
    date '1928-01-01' + gen.below(n, 42, 14000), 'enc:v1:' || encode(sha256(('ssn' || n)::bytea), 'base64'),
    gen.pick(n, 43, '{FEMALE,FEMALE,FEMALE,MALE,MALE,UNDISCLOSED}'::text[]),
    case when gen.below(n, 44, 3) = 0 then gen.pick(n, 45, '{she/her,he/him,they/them}'::text[]) end,
    jsonb_build_object('number', gen.phone(n), 'type', gen.pick(n, 46, '{HOME,MOBILE}'::text[]),
        'canReceiveSMS', gen.below(n, 47, 2) = 0),
    case when gen.below(n, 48, 3) = 0 then jsonb_build_object('number', gen.phone(n + 40000), 'type', 'MOBILE') end,
    case when gen.below(n, 49, 5) < 2 then 'client' || n || '@example.com' end,
    gen.pick(n, 50, '{English,English,English,English,Spanish,Vietnamese,Français}'::text[]),
    jsonb_build_array(gen.pick(n, 51, '{WHITE,BLACK,HISPANIC,ASIAN,OTHER,UNDISCLOSED}'::text[])),
    gen.pick(n, 52, '{WIDOWED,MARRIED,SINGLE,DIVORCED}'::text[]),
    case when gen.below(n, 53, 4) > 0 then gen.below(n, 54, 6) = 0 end, c.address,
    jsonb_build_object('type', gen.pick(n, 55, '{ALONE,WITH_SPOUSE,WITH_FAMILY,ASSISTED_LIVING}'::text[]),
        'pets', gen.below(n, 56, 4) = 0),
    case when gen.below(n, 57, 3) > 0 then jsonb_build_object(
        'walkingAid', gen.pick(n, 58, '{WALKER,CANE,WHEELCHAIR,NONE}'::text[]),
        'fallRisk', gen.pick(n, 59, '{LOW,MEDIUM,HIGH}'::text[])) end,
    jsonb_build_array(jsonb_build_object('name', gen.first_name(n + 50000) || ' ' || c.last_name,
        'relationship', gen.pick(n, 60, '{DAUGHTER,SON,SPOUSE,SISTER,FRIEND}'::text[]),
        'phone', gen.phone(n + 50000), 'isPrimary', true)),
    case when gen.below(n, 61, 4) = 0 then jsonb_build_array(jsonb_build_object('name',
        gen.first_name(n + 60000) || ' ' || gen.last_name(n + 60000), 'canViewRecords', true)) else '[]' end,
    case when gen.below(n, 62, 5) > 0 then jsonb_build_object('name', 'Dr. ' || gen.last_name(n % 40 + 70000),
        'phone', gen.phone(n % 40 + 70000), 'specialty', 'FAMILY_MEDICINE') end,
    case when gen.below(n, 63, 2) = 0 then jsonb_build_object('name', 'Example Pharmacy ' || n % 30) end,
    jsonb_build_object('primary', 'MEDICAID', 'policyNumber', c.medicaid_id),
    'MRN' || lpad(gen.below(n, 64, 100000000)::text, 8, '0'),
    jsonb_build_array(jsonb_build_object('code', gen.pick(n, 65, '{STAR_PLUS,CLASS,PHC,VA_HHA}'::text[]),
        'since', (gen.today() - 400 - gen.below(n, 66, 600))::text)),
    jsonb_build_object('medicaid', c.medicaid_id is not null, 'privatePay', gen.below(n, 67, 6) = 0),
    jsonb_build_array(jsonb_build_object('type', case when c.medicaid_id is null then 'PRIVATE_PAY'
        else 'MEDICAID' end, 'priority', 1)),
    case when gen.below(n, 68, 3) = 0 then jsonb_build_array(jsonb_build_object(
        'type', gen.pick(n, 69, '{FALL_RISK,WANDERING,SKIN_INTEGRITY,OXYGEN}'::text[]),
        'severity', 'MEDIUM')) else '[]' end,
    case when gen.below(n, 70, 4) = 0 then jsonb_build_array(jsonb_build_object(
        'allergen', gen.pick(n, 71, '{penicillin,latex,sulfa,peanuts,shellfish}'::text[]))) end,
    case when gen.below(n, 72, 3) = 0 then gen.pick(n, 73, '{Speak slowly and face her.,
No visitors before nine.,Diabetic: log the reading first.,Likes the radio on.,Prefers café con leche to tea.}'::text[]) end,
    case when gen.below(n, 74, 2) = 0 then 'Key box at the ' || gen.pick(n, 75,
        '{front door,side gate,garage}'::text[]) || '; code kept by the office.' end,
    s.status, s.intake, case when s.status in ('DISCHARGED', 'DECEASED') then s.intake + 90 + gen.below(n, 76, 250) end,
    case when s.status = 'DISCHARGED' then gen.pick(n, 77, '{moved away,goals met,hospice}'::text[]) end,
    case when gen.below(n, 78, 5) < 3 then gen.note(n, 200) end,
    jsonb_build_object('texas', jsonb_build_object('planType', 'STAR+PLUS', 'evvEntity', 'HHAX')),
    jsonb_build_object('lat', c.lat, 'lon', c.lon), s.intake + interval '15 hours', c.admin_id,
    gen.today() - gen.below(n, 79, 120) + interval '17 hours', c.admin_id, 1 + gen.below(n, 80, 12),
    case when n % 97 = 0 then gen.today() - 5 + interval '17 hours' end,
    case when n % 97 = 0 then c.admin_id end
from generate_series(1, :clients) n
join gen.client c on c.no = n
cross join lateral (select gen.pick(n, 81, '{ACTIVE,ACTIVE,ACTIVE,ACTIVE,ACTIVE,ACTIVE,ON_HOLD,
DISCHARGED,INACTIVE,PENDING_INTAKE,INQUIRY,DECEASED}'::text[]), gen.today() - 400 - gen.below(n, 82, 900))
    s(status, intake);

insert into caregivers (id, organization_id, branch_ids, primary_branch_id, employee_number,
    first_name, last_name, date_of_birth, ssn, gender, primary_phone, email, languages, race,
    primary_address, emergency_contacts, employment_type, employment_status, hire_date, role,
    permissions, supervisor_id, credentials, background_check, drug_screening, health_screening,
    training, skills, specializations, availability, pay_rate, payroll_info, preferred_clients,
    restricted_clients, performance_rating, reliability_score, compliance_status, status, notes,
    created_at, created_by, updated_at, updated_by, version)
select c.id, c.organization_id, array[c.branch_id], c.branch_id, c.employee_number, c.first_name,
    c.last_name, date '1960-01-01' + gen.below(n, 140, 15000),
    'enc:v1:' || encode(sha256(('cssn' || n)::bytea), 'base64'),
    gen.pick(n, 141, '{FEMALE,FEMALE,FEMALE,MALE}'::text[]),
    jsonb_build_object('number', gen.phone(n + 80000), 'type', 'MOBILE', 'canReceiveSMS', true),
    'caregiver' || n || '@example.net',
    case when gen.below(n, 142, 3) = 0 then '{English,Español}'::text[] else '{English}' end,
    case when gen.below(n, 143, 2) = 0 then array[gen.pick(n, 144, '{WHITE,BLACK,HISPANIC,ASIAN}'::text[])] end,
    jsonb_build_object('line1', gen.street(n + 80000), 'city', c.city ->> 'name', 'state', 'TX',
        'postalCode', c.city ->> 'zip', 'country', 'US'),
    jsonb_build_array(jsonb_build_object('name', gen.first_name(n + 90000) || ' ' || c.last_name,
        'phone', gen.phone(n + 90000))),
    gen.pick(n, 145, '{FULL_TIME,PART_TIME,PART_TIME,PER_DIEM}'::text[]), 'ACTIVE',
    gen.today() - 60 - gen.below(n, 146, 1800),
    gen.pick(n, 147, '{CAREGIVER,HOME_HEALTH_AIDE,PERSONAL_CARE_AIDE,CERTIFIED_NURSING_ASSISTANT,NURSE_LPN,
SENIOR_CAREGIVER}'::text[]), '{visits:own,evv:own}',
    case when n > :organizations then gen.id('caregiver', 1 + (n - 1) % :organizations) end,
    array[jsonb_build_object('type', 'CNA', 'number', 'TX' || (100000 + gen.below(n, 148, 900000)),
              'expirationDate', (k.expires)::text, 'status', 'ACTIVE'),
          jsonb_build_object('type', 'CPR', 'expirationDate', (k.expires + 120)::text, 'status', 'ACTIVE')],
    jsonb_build_object('status', 'CLEAR', 'date', (gen.today() - 300)::text),
    case when gen.below(n, 149, 2) = 0 then '{"result": "NEGATIVE"}'::jsonb end,
    case when gen.below(n, 150, 2) = 0 then '{"tb": "NEGATIVE"}'::jsonb end,
    array['{"name": "Orientation", "hours": 8}'::jsonb, '{"name": "Infection control", "hours": 4}'],
    array[jsonb_build_object('name', gen.pick(n, 151, '{Hoyer lift,Dementia care,Wound care,Cooking}'::text[]),
        'level', 1 + gen.below(n, 152, 5))],
    case when gen.below(n, 153, 3) = 0 then '{dementia}'::text[] else '{}' end,
    jsonb_build_object('mon', '08:00-17:00', 'tue', '08:00-17:00', 'thu', '10:00-19:00',
        'maxHours', 20 + gen.below(n, 154, 20)),
    jsonb_build_object('hourly', 14 + gen.below(n, 155, 900) * 0.01, 'currency', 'USD'),
    case when gen.below(n, 156, 3) > 0 then '{"method": "DIRECT_DEPOSIT", "cycle": "BIWEEKLY"}'::jsonb end,
    case when gen.below(n, 157, 3) = 0 then array[gen.id('client', 1 + (n - 1) % :clients)] else '{}' end, '{}',
    case when gen.below(n, 158, 8) > 0 then (gen.below(n, 159, 21) + 30) * 0.1 end,
    (gen.below(n, 160, 30) + 71) * 0.01,
    case when k.expires < gen.today() then 'EXPIRED'
         when k.expires < gen.today() + 30 then 'EXPIRING_SOON' else 'COMPLIANT' end,
    'ACTIVE', case when gen.below(n, 161, 4) = 0 then gen.note(n, 300) end,
    gen.today() - 600 + n % 300 + interval '14 hours', c.admin_id,
    gen.today() - n % 100 + interval '14 hours', c.admin_id, 1 + gen.below(n, 162, 8)
from generate_series(1, :caregivers) n
join gen.caregiver c on c.no = n
cross join lateral (select gen.today() - 20 + gen.below(n, 163, 700)) k(expires);

insert into service_authorizations (id, organization_id, client_id, authorization_number,
    service_type_code, payer_name, authorized_units, used_units, unit_type, valid_period, status,
    created_at, updated_at, version)
select gen.id('authorization', n), c.organization_id, c.id, 'AUTH-' || lpad(n::text, 7, '0'),
    gen.service_code(n), gen.pick(n, 170, '{Texas Medicaid (sample),Example Health Plan,Sample VA Program}'::text[]),
    u.units, least(u.units, u.units * gen.below(n, 171, 110) / 100.0)::numeric(10,2),
    gen.pick(n, 172, '{HOUR,QUARTER_HOUR,VISIT}'::text[]),
    daterange(gen.today() - 180 + n::int % 90, gen.today() + n::int % 90),
    case when gen.below(n, 171, 110) >= 100 then 'DEPLETED' else 'ACTIVE' end,
    gen.today() - 185 + interval '13 hours', gen.today() - n::int % 50 + interval '13 hours', 1
from generate_series(1, 2 * :clients::bigint) n
join gen.client c on c.no = 1 + (n - 1) % :clients
cross join lateral (select 40 + gen.below(n, 173, 400)) u(units);

insert into shifts (id, organization_id, branch_id, client_id, shift_date, start_time, end_time,
    required_skills, urgency, status, bill_rate, match_score, match_weight, travel_allowance,
    filled_by, created_at, updated_at)
select gen.id('shift', n), c.organization_id, c.branch_id, c.id, gen.today() - 30 + gen.below(n, 180, 45),
    time '06:00' + gen.below(n, 181, 40) * interval '15 minutes',
    time '16:30' + gen.below(n, 182, 16) * interval '15 minutes',
    case when gen.below(n, 183, 3) = 0 then '{"Hoyer lift",dementia}'::text[] else '{}' end,
    gen.pick(n, 184, '{ROUTINE,ROUTINE,ROUTINE,PRIORITY,URGENT,CRITICAL}'::text[]), s.status,
    22 + gen.below(n, 185, 1800) / 100.0, gen.below(n, 186, 100000) / 99999.0::real,
    gen.below(n, 187, 1000000) / 3e6, gen.below(n, 188, 90) * interval '1 minute',
    case when s.status = 'FILLED' then gen.id('caregiver', c.org_no) end,
    gen.today() - 31 + interval '12 hours', gen.today() - n::int % 7 + interval '12 hours'
from generate_series(1, 6 * :clients::bigint) n
join gen.client c on c.no = 1 + (n - 1) % :clients
cross join lateral (select gen.pick(n, 189, '{OPEN,OPEN,PROPOSED,FILLED,FILLED,EXPIRED,CANCELLED}'::text[])) s(status);

insert into sync_queue (id, organization_id, user_id, device_id, entity_type, entity_id, operation,
    payload, status, conflict, attempts, queued_at, synced_at)
select gen.id('sync', n), c.organization_id, c.admin_id, c.device_id, 'visits',
    gen.id('visit', 1 + gen.below(n, 190, :visits)), gen.pick(n, 191, '{UPDATE,UPDATE,INSERT}'::text[]),
    jsonb_build_object('note', gen.note(n, 400), 'localVersion', gen.below(n, 192, 9)), s.status,
    case when s.status = 'CONFLICT' then '{"field": "completion_notes", "winner": null}'::jsonb end,
    gen.below(n, 193, 4), s.queued_at,
    case when s.status = 'SYNCED' then s.queued_at + gen.below(n, 194, 900) * interval '1 second' end
from generate_series(1, 3 * :clients::bigint) n
join gen.caregiver c on c.no = 1 + (n - 1) % :caregivers
cross join lateral (select gen.pick(n, 195, '{SYNCED,SYNCED,SYNCED,SYNCED,PENDING,IN_FLIGHT,
CONFLICT,FAILED}'::text[]),
    gen.today() - 3 + gen.below(n, 196, 250000) * interval '1 second') s(status, queued_at);
