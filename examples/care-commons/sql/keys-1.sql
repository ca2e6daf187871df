-- Keys and indexes, first half: run by one connection while another runs keys-2.sql. Each half
-- builds the indexes of its own tables; foreign keys follow in keys-3.sql, when both are done.

alter table evv_records add primary key (id);
alter table evv_records add unique (visit_id);
create index idx_evv_records_organization on evv_records (organization_id, service_date);
create index idx_evv_records_branch on evv_records (branch_id);
create index idx_evv_records_client on evv_records (client_id, service_date);
create index idx_evv_records_caregiver on evv_records (caregiver_id, service_date);
create index idx_evv_records_status on evv_records (record_status);
create index idx_evv_records_clock_in on evv_records (clock_in_time);
create index idx_evv_records_unsubmitted on evv_records (organization_id, clock_out_time)
    where record_status = 'COMPLETE' and submitted_to_payor is null;
create index idx_evv_records_approval on evv_records (payor_approval_status)
    where payor_approval_status in ('PENDING', 'DENIED');
create index idx_evv_records_flags on evv_records using gin (compliance_flags);
create index idx_evv_records_exceptions on evv_records using gin (exception_events jsonb_path_ops)
    where exception_events <> '[]'::jsonb;

alter table visits add primary key (id);
alter table visits add unique (visit_number);
create index idx_visits_organization on visits (organization_id, scheduled_date) where deleted_at is null;
create index idx_visits_branch on visits (branch_id, scheduled_date) where deleted_at is null;
create index idx_visits_client on visits (client_id, scheduled_date) where deleted_at is null;
create index idx_visits_caregiver on visits (assigned_caregiver_id, scheduled_date)
    where assigned_caregiver_id is not null and deleted_at is null;
create index idx_visits_status on visits (status) where deleted_at is null;
create index idx_visits_billing on visits (billing_status, scheduled_date)
    where billing_status in ('PENDING', 'READY');
create index idx_visits_unassigned on visits (scheduled_date) where status = 'UNASSIGNED';
create index idx_visits_urgent on visits (scheduled_date) where is_urgent;
create index idx_visits_skills on visits using gin (required_skills);
create index idx_visits_search on visits using gin (
    to_tsvector('english', visit_number || ' ' || service_type_name));

alter table organizations add primary key (id);
create unique index organizations_license_number on organizations (license_number)
    where deleted_at is null;

alter table branches add primary key (id);
alter table branches add unique (organization_id, code);
create index idx_branches_organization on branches (organization_id) where deleted_at is null;

alter table users add primary key (id);
alter table users add unique (username);
alter table users add unique (email);
create index idx_users_organization on users (organization_id) where deleted_at is null;
create index idx_users_roles on users using gin (roles);
create unique index users_oauth_identity on users (oauth_provider, oauth_subject)
    where oauth_provider is not null;
