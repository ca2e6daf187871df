-- Foreign keys, checked against every row as they are added. With :one_table the visits of the
-- verification records do not exist, and the key between them is left out.

alter table branches add foreign key (organization_id) references organizations (id);
alter table users add foreign key (organization_id) references organizations (id);

alter table clients
    add foreign key (organization_id) references organizations (id),
    add foreign key (branch_id) references branches (id),
    add foreign key (created_by) references users (id),
    add foreign key (updated_by) references users (id),
    add foreign key (deleted_by) references users (id);

alter table caregivers
    add foreign key (organization_id) references organizations (id),
    add foreign key (primary_branch_id) references branches (id),
    add foreign key (supervisor_id) references caregivers (id);

alter table service_authorizations
    add foreign key (organization_id) references organizations (id),
    add foreign key (client_id) references clients (id) on delete cascade;

alter table shifts
    add foreign key (organization_id) references organizations (id),
    add foreign key (branch_id) references branches (id),
    add foreign key (client_id) references clients (id),
    add foreign key (filled_by) references caregivers (id);

alter table visits
    add foreign key (organization_id) references organizations (id),
    add foreign key (branch_id) references branches (id),
    add foreign key (client_id) references clients (id),
    add foreign key (assigned_caregiver_id) references caregivers (id) on delete set null;

alter table evv_records
    add foreign key (organization_id) references organizations (id),
    add foreign key (branch_id) references branches (id),
    add foreign key (client_id) references clients (id),
    add foreign key (caregiver_id) references caregivers (id);
\if :one_table
\else
alter table evv_records add foreign key (visit_id) references visits (id);
\endif

alter table audit_events
    add foreign key (user_id) references users (id),
    add foreign key (organization_id) references organizations (id);
alter table audit_revisions add foreign key (user_id) references users (id);

alter table sync_queue
    add foreign key (organization_id) references organizations (id),
    add foreign key (user_id) references users (id);
