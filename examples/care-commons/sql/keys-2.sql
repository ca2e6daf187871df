-- Keys and indexes, second half: see keys-1.sql.

alter table audit_events add primary key (event_id);
create index idx_audit_events_time on audit_events ("timestamp");
create index idx_audit_events_user on audit_events (user_id, "timestamp");
create index idx_audit_events_organization on audit_events (organization_id, "timestamp");
create index idx_audit_events_resource on audit_events (resource, resource_id);

alter table audit_revisions add primary key (revision_id);
create index idx_audit_revisions_entity on audit_revisions (entity_type, entity_id, "timestamp");
create index idx_audit_revisions_user on audit_revisions (user_id);

alter table clients add primary key (id);
alter table clients add unique (organization_id, client_number);
create index idx_clients_branch on clients (branch_id) where deleted_at is null;
create index idx_clients_status on clients (organization_id, status) where deleted_at is null;
create index idx_clients_last_name on clients (lower(last_name), lower(first_name));
create index idx_clients_birth on clients (date_of_birth);
create index idx_clients_record_number on clients (medical_record_number);
create index idx_clients_programs on clients using gin (programs);
create index idx_clients_eligibility on clients using gin (service_eligibility);
create index idx_clients_risk_flags on clients using gin (risk_flags);
create index idx_clients_search on clients using gin (
    to_tsvector('english', first_name || ' ' || last_name || ' ' || client_number));

alter table caregivers add primary key (id);
alter table caregivers add unique (organization_id, employee_number);
alter table caregivers add unique (email);
create index idx_caregivers_branch on caregivers (primary_branch_id) where deleted_at is null;
create index idx_caregivers_branches on caregivers using gin (branch_ids);
create index idx_caregivers_status on caregivers (organization_id, status) where deleted_at is null;
create index idx_caregivers_compliance on caregivers (compliance_status)
    where compliance_status <> 'COMPLIANT' and deleted_at is null;
create index idx_caregivers_role on caregivers (role);
create index idx_caregivers_supervisor on caregivers (supervisor_id);
create index idx_caregivers_languages on caregivers using gin (languages);
create index idx_caregivers_specializations on caregivers using gin (specializations);
create index idx_caregivers_search on caregivers using gin (
    to_tsvector('english', first_name || ' ' || last_name || ' ' || employee_number));

alter table service_authorizations add primary key (id);
alter table service_authorizations add unique (organization_id, authorization_number);
create index idx_service_authorizations_client on service_authorizations (client_id, status);
create index idx_service_authorizations_period on service_authorizations using gist (valid_period);

alter table shifts add primary key (id);
create index idx_shifts_open on shifts (shift_date, urgency) where status in ('OPEN', 'PROPOSED');

alter table sync_queue add primary key (id);
alter table sync_queue add unique (position);
create index idx_sync_queue_pending on sync_queue (queued_at) where status <> 'SYNCED';
alter table knex_migrations add primary key (id);
alter table knex_migrations_lock add primary key (index);
