-- Trigger functions, triggers, row-level security, views and the publication. Last, so that nothing
-- of it runs while the rows are loaded.

create function update_updated_at() returns trigger language plpgsql as $$
begin
    new.updated_at := now();
    return new;
end
$$;

create function update_updated_at_and_version() returns trigger language plpgsql as $$
begin
    new.updated_at := now();
    new.version := old.version + 1;
    return new;
end
$$;

-- Looks at today's date: the same row loaded on another day gets another compliance_status. A
-- data-only restore with triggers enabled therefore changes data.
create function check_caregiver_credentials() returns trigger language plpgsql as $$
declare
    first_expiry date;
begin
    select min((credential ->> 'expirationDate')::date) into first_expiry
    from unnest(new.credentials) as credential
    where credential ->> 'status' = 'ACTIVE';

    new.compliance_status := case
        when first_expiry is null then 'PENDING_VERIFICATION'
        when first_expiry < current_date then 'EXPIRED'
        when first_expiry < current_date + 30 then 'EXPIRING_SOON'
        else 'COMPLIANT' end;
    return new;
end
$$;

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
end
$$;

create trigger organizations_updated before update on organizations
    for each row execute function update_updated_at();
create trigger branches_updated before update on branches
    for each row execute function update_updated_at();
create trigger users_updated before update on users
    for each row execute function update_updated_at();
create trigger clients_updated before update on clients
    for each row execute function update_updated_at_and_version();
create trigger caregivers_updated before update on caregivers
    for each row execute function update_updated_at_and_version();
create trigger caregivers_credentials before insert or update of credentials on caregivers
    for each row execute function check_caregiver_credentials();
create trigger service_authorizations_updated before update on service_authorizations
    for each row execute function update_updated_at();
create trigger shifts_updated before update on shifts
    for each row execute function update_updated_at();
create trigger visits_updated before update on visits
    for each row execute function update_updated_at_and_version();
create trigger evv_records_updated before update on evv_records
    for each row execute function update_updated_at_and_version();
create trigger audit_events_append_only before update or delete on audit_events
    for each row execute function refuse_change();
create trigger audit_revisions_append_only before update or delete on audit_revisions
    for each row execute function refuse_change();

-- Row-level security: a session sees its own organization's rows, named by a setting. The owner is
-- exempt; any other role, also one that takes dumps, sees nothing until the setting is made.
create function current_organization() returns uuid language sql stable as
$$ select nullif(current_setting('app.current_organization_id', true), '')::uuid $$;
create function is_super_admin() returns boolean language sql stable as
$$ select coalesce(nullif(current_setting('app.is_super_admin', true), '')::boolean, false) $$;

alter table organizations enable row level security;
create policy organizations_own on organizations
    using (id = public.current_organization() or public.is_super_admin());
do $$
declare
    name text;
begin
    foreach name in array '{branches,users,clients,caregivers,service_authorizations,shifts,visits,
                            evv_records,audit_events,sync_queue}'::text[]
    loop
        execute format('alter table %I enable row level security', name);
        execute format('create policy %I on %I using (organization_id = public.current_organization() '
                       'or public.is_super_admin())', name || '_own_organization', name);
    end loop;
end
$$;
create policy audit_events_no_delete on audit_events as restrictive for delete using (false);

create materialized view active_open_shifts as
select s.id, s.organization_id, s.branch_id, b.name as branch_name, s.shift_date, s.start_time,
    s.end_time, s.urgency, s.required_skills, c.coordinates,
    extract(epoch from s.end_time - s.start_time) / 3600 as hours
from shifts s
join clients c on c.id = s.client_id
join branches b on b.id = s.branch_id
where s.status in ('OPEN', 'PROPOSED') and c.deleted_at is null;
create unique index active_open_shifts_id on active_open_shifts (id);
create index active_open_shifts_date on active_open_shifts (organization_id, shift_date);

create view sync_queue_stats as
select organization_id, status, count(*) as entries, min(queued_at) as oldest,
    avg(synced_at - queued_at) as mean_delay
from sync_queue
group by organization_id, status;

create view sync_conflict_stats as
select organization_id, entity_type, conflict ->> 'field' as field, count(*) as conflicts,
    count(*) filter (where conflict ->> 'winner' is null) as unresolved
from sync_queue
where status = 'CONFLICT'
group by organization_id, entity_type, conflict ->> 'field';

comment on materialized view active_open_shifts is 'shifts still to be filled, for the matching board';
comment on function check_caregiver_credentials() is 'keeps compliance_status; depends on the current date';
comment on policy clients_own_organization on clients is 'set app.current_organization_id to see rows';

create publication care_commons_reporting for table clients, visits, evv_records;

drop schema gen cascade;
